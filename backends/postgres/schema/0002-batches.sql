-- SPDX-License-Identifier: MIT
-- Step 2: plain jobs that were taken together are out of [job] and stand in one row here: functions/batch.sql.

-- What a claim took of one queue. A job is a row of [job] or a member of a batch, never both.
--   ids, rows    members in the order they were claimed, as they were put; never changed, so that the server leaves them
--                where they are when the rest of the row changes
--   fates        of each member: 0 runs, above 0 completed (the number of its end), below 0 is no member any more
--   ends         {finished_at, reason} of each end
--   running, completed   how many members are; a batch without any is removed
--   lease_until  NULL when none runs
--   low, high    all ids are within
--   finished_at  of the first end that still has members
-- Another step that changes [job] has to make all members leave before.
CREATE TABLE @.batch (
    token uuid NOT NULL,
    queue integer NOT NULL,
    running integer NOT NULL,
    completed integer NOT NULL DEFAULT 0,
    started_at bigint NOT NULL,
    lease_until bigint,
    finished_at bigint,
    low uuid NOT NULL,
    high uuid NOT NULL,
    worker bytea,
    fates smallint[] NOT NULL,
    ends bigint[] NOT NULL DEFAULT '{}',
    ids uuid[] NOT NULL,
    rows @.job[] NOT NULL,
    PRIMARY KEY (token, queue)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0, toast.autovacuum_vacuum_cost_delay = 0);
ALTER TABLE @.batch ALTER COLUMN ids SET STORAGE EXTERNAL, ALTER COLUMN rows SET STORAGE EXTERNAL;
-- Members that end one by one change no column that an index looks at.
CREATE INDEX batch_clock ON @.batch (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX batch_ended ON @.batch (queue, finished_at) WHERE finished_at IS NOT NULL;
-- Ids rise with time: what is put has one beyond nearly every batch.
CREATE INDEX batch_ids ON @.batch (high);
