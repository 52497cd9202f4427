-- SPDX-License-Identifier: MIT
-- Step 1 of the schema: tables and types. Steps are only ever added: a store that was made by an older library is
-- brought up by the ones it has not seen. To change the schema: add a file, list it in meson.build, never touch an old
-- one. "@." is the namespace, a schema of the database. The functions are not part of a step: they are made anew with
-- each version.

-- One row: who this store is, by how much tests moved its clock, how many events are kept, and the newest cursor that
-- was given when this was last said.
CREATE TABLE @.meta (
    one integer PRIMARY KEY CHECK (one = 1),
    version integer NOT NULL,
    store_id uuid NOT NULL,
    shift bigint NOT NULL DEFAULT 0,
    events bigint NOT NULL DEFAULT 0,
    event bigint NOT NULL DEFAULT 0,
    shape text NOT NULL
);

-- The newest fence. CACHE 1: the next claim, whoever makes it, draws a larger one.
CREATE SEQUENCE @.fence CACHE 1 MAXVALUE 9007199254740991;

-- Drawn from by whoever puts a row where others may remember that there is none: see functions/front.sql.
CREATE SEQUENCE @.jump CACHE 1;

-- Queues by number and their settings; limits are NULL for none. grouped: rows with a group were put into it. results:
-- those of rows that ended up to here (finished_at, id) are gone. The counts are what was folded of [tally]; nobody
-- waits for anybody here.
CREATE TABLE @.queue (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name bytea NOT NULL UNIQUE,
    known boolean NOT NULL DEFAULT false,
    paused boolean NOT NULL DEFAULT false,
    depth bigint,
    concurrency bigint,
    group_concurrency bigint,
    rate bigint,
    rate_ms bigint,
    grouped boolean NOT NULL DEFAULT false,
    keep_count bigint[],
    keep_ms bigint[],
    blocked bigint NOT NULL DEFAULT 0,
    due bigint NOT NULL DEFAULT 0,
    later bigint NOT NULL DEFAULT 0,
    running bigint NOT NULL DEFAULT 0,
    completed bigint NOT NULL DEFAULT 0,
    dead bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    enqueued_total bigint NOT NULL DEFAULT 0,
    completed_total bigint NOT NULL DEFAULT 0,
    dead_total bigint NOT NULL DEFAULT 0,
    cancelled_total bigint NOT NULL DEFAULT 0,
    failed_total bigint NOT NULL DEFAULT 0,
    completed_trimmed bigint NOT NULL DEFAULT 0,
    dead_trimmed bigint NOT NULL DEFAULT 0,
    cancelled_trimmed bigint NOT NULL DEFAULT 0,
    finished_at bigint NOT NULL DEFAULT 0,
    results_at bigint NOT NULL DEFAULT 0,
    results_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
) WITH (fillfactor = 50);

-- What happened to rows since the counts were folded: `rows` of them went from place `was` to place `came`.
-- Places: 0 nowhere, 1 blocked, 2 due, 3 later, 4 running, 5 completed, 6 dead, 7 cancelled, 10 removed by retention; 9
-- to 9: a failed attempt; 8 to 8: one that completed, where that is no way from 4 to 5. took: the bucket of how long
-- they waited (came 4) or ran (came 5, 8, 9), NULL where that is not counted; total: all of it together; at: when they
-- ended.
CREATE TABLE @.tally (
    queue integer NOT NULL,
    was smallint NOT NULL,
    came smallint NOT NULL,
    rows bigint NOT NULL,
    took smallint,
    total bigint,
    at bigint
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- What the jobs of a queue took, as folded of [tally]. what: 1 waited, 2 ran, by number of the bucket; 3 completed, 4
-- failed, by number of the slot of ten seconds.
CREATE TABLE @.figure (
    queue integer NOT NULL,
    what smallint NOT NULL,
    number bigint NOT NULL,
    rows bigint NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (queue, what, number)
) WITH (fillfactor = 50);

-- Jobs. n rises with arrival. Instants are milliseconds by the server's clock, NULL for none.
--   shelf, place  waiting rows only: 1 due, 2 due and marked alone, 3 not due yet, 4 due and of a group; ordered by
--                 rank, rank, run_at, rank
--   clock         when the row needs a look of the sweeper: running rows the end of the lease; others the deadline of a
--                 callback, the expiry, or when they ended with children that wait for a decision
--   flags         1 held, 2 alone, 4 ran alone, 8 resumed, 16 cancel asked, 32 callback used, 64 was put with parents,
--                 128 swept for its lease, 256 swept for its timeout, 512 has lines in [log]
--   errors        number of the newest row in [error]; children: open edges to children
-- Columns that always have a value of a fixed size stand first, so that their places in a row are known without looking
-- at others.
CREATE TABLE @.job (
    id uuid NOT NULL,
    n bigint GENERATED ALWAYS AS IDENTITY,
    attempt bigint NOT NULL DEFAULT 0,
    edits bigint NOT NULL DEFAULT 0,
    payload_bytes bigint NOT NULL,
    run_at bigint NOT NULL,
    rank_add bigint NOT NULL,
    created_at bigint NOT NULL,
    queue integer NOT NULL,
    flags integer NOT NULL DEFAULT 0,
    priority integer NOT NULL,
    pending integer NOT NULL DEFAULT 0,
    children integer NOT NULL DEFAULT 0,
    errors integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    snoozes integer NOT NULL DEFAULT 0,
    releases integer NOT NULL DEFAULT 0,
    redrives integer NOT NULL DEFAULT 0,
    state smallint NOT NULL,
    outcome smallint NOT NULL DEFAULT 0,
    reason smallint NOT NULL DEFAULT 0,
    shelf smallint,
    place bigint,
    clock bigint,
    started_at bigint,
    finished_at bigint,
    lease_until bigint,
    stop_at bigint,
    expires_at bigint,
    callback_until bigint,
    timeout bigint,
    key_until bigint,
    token uuid,
    key_hold smallint,
    kind bytea NOT NULL,
    worker bytea,
    tenant bytea,
    policy bytea,
    key bytea,
    trace bytea,
    callback bytea,
    key_scope bytea,
    key_digest bytea,
    progress bytea,
    payload bytea,
    result bytea,
    data bytea,
    PRIMARY KEY (id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0, toast.autovacuum_vacuum_cost_delay = 0);
-- A claim reads the front of (queue, shelf), or of (queue, tenant) where groups are served in turn. A row stands in one
-- of the two.
CREATE INDEX job_shelf ON @.job (queue, shelf, place, n) WHERE shelf < 4;
CREATE INDEX job_lane ON @.job (queue, tenant, place, n) WHERE shelf = 4;
-- The slots of a group are counted.
CREATE INDEX job_tenant ON @.job (tenant, queue) WHERE state = 3 AND tenant IS NOT NULL;
-- A heartbeat finds its rows.
CREATE INDEX job_held ON @.job (token) WHERE state = 3;
CREATE INDEX job_clock ON @.job (clock, n) WHERE clock IS NOT NULL;
CREATE INDEX job_later ON @.job (run_at) WHERE shelf = 3;
CREATE INDEX job_ended ON @.job (queue, state, finished_at, id) WHERE finished_at IS NOT NULL;

-- The newest errors of a job; seq counts from 1.
CREATE TABLE @.error (
    job uuid NOT NULL,
    seq integer NOT NULL,
    attempt integer NOT NULL,
    kind integer NOT NULL,
    at bigint NOT NULL,
    worker bytea,
    text bytea,
    PRIMARY KEY (job, seq)
);

-- The newest lines of a job's log; seq rises.
CREATE TABLE @.log (
    job uuid NOT NULL,
    seq bigint NOT NULL,
    attempt integer NOT NULL,
    at bigint NOT NULL,
    worker bytea,
    text bytea,
    PRIMARY KEY (job, seq)
);

-- Who waits for whom. hard: the rule asks for a decision when the parent does not complete.
CREATE TABLE @.edge (
    child uuid NOT NULL,
    parent uuid NOT NULL,
    rule integer NOT NULL,
    hard boolean NOT NULL,
    open boolean NOT NULL,
    PRIMARY KEY (child, parent)
);
CREATE INDEX edge_open ON @.edge (parent, hard, child) WHERE open;

-- Idempotency keys that are held. ended: the state the job ended in, 0 while it lives. fades: when a window that
-- outlives its job is over. heir: somebody in [heir] waits for it.
CREATE TABLE @.key (
    scope bytea PRIMARY KEY,
    job uuid NOT NULL,
    hold smallint NOT NULL,
    until bigint NOT NULL,
    digest bytea NOT NULL,
    ended smallint NOT NULL DEFAULT 0,
    fades bigint,
    heir boolean NOT NULL DEFAULT false
);
CREATE INDEX key_fades ON @.key (fades) WHERE fades IS NOT NULL;

-- The one successor of a key's holder: what was put, its times not resolved. nums are the numbers of a put, as
-- functions/puts.sql names them.
CREATE TABLE @.heir (
    scope bytea PRIMARY KEY,
    id uuid NOT NULL,
    queue integer NOT NULL,
    nums bigint[] NOT NULL,
    kind bytea NOT NULL,
    tenant bytea,
    payload bytea,
    policy bytea,
    key bytea,
    trace bytea,
    digest bytea NOT NULL
);

-- Limits of groups (of 2; no bytes: every group) and of plans (of 3) as they were set: NULL nothing, -1 none.
CREATE TABLE @.bound (
    of smallint NOT NULL,
    name bytea NOT NULL,
    plan bytea,
    concurrency bigint,
    rate bigint,
    rate_ms bigint,
    quota bigint,
    quota_ms bigint,
    PRIMARY KEY (of, name)
);
CREATE INDEX bound_starts ON @.bound (of) WHERE concurrency >= 0 OR rate >= 0;
CREATE INDEX bound_slots ON @.bound (of) WHERE concurrency >= 0;
CREATE INDEX bound_quota ON @.bound (of) WHERE quota >= 0;

-- Starts of a queue (of 1), of a group (2), puts of a group (3), as functions/limits.sql keeps them. Who starts or puts
-- where a limit is locks the row first.
CREATE TABLE @.gauge (
    of smallint NOT NULL,
    name bytea NOT NULL,
    held bigint[],
    PRIMARY KEY (of, name)
) WITH (fillfactor = 50);

-- Schedules. fired_at: every nominal time up to here is settled; next_at: when somebody should look at it again.
CREATE TABLE @.schedule (
    name bytea PRIMARY KEY,
    bytes bytea NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    fired_at bigint NOT NULL DEFAULT 0,
    next_at bigint NOT NULL DEFAULT 0,
    paused boolean NOT NULL DEFAULT false
);
CREATE INDEX schedule_next ON @.schedule (next_at, name) WHERE NOT paused;

-- Events: first without a cursor, in the order in which they were written, then with it. state: GONE too; worker: who
-- claimed it.
CREATE TABLE @.happened (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    attempt bigint NOT NULL,
    run_at bigint NOT NULL,
    id uuid NOT NULL,
    queue integer NOT NULL,
    state smallint NOT NULL,
    reason smallint NOT NULL,
    kind bytea NOT NULL,
    worker bytea
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE TABLE @.event (
    cursor bigint PRIMARY KEY,
    at bigint NOT NULL,
    attempt bigint NOT NULL,
    run_at bigint NOT NULL,
    id uuid NOT NULL,
    queue integer NOT NULL,
    state smallint NOT NULL,
    reason smallint NOT NULL,
    kind bytea NOT NULL,
    worker bytea
);

CREATE TABLE @.worker (
    name bytea NOT NULL,
    nonce bytea NOT NULL,
    host bytea,
    queues bytea,
    kinds bytea,
    pid bigint NOT NULL,
    started_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    lease bigint NOT NULL,
    capacity integer NOT NULL,
    running integer NOT NULL,
    stop_asked boolean NOT NULL DEFAULT false,
    PRIMARY KEY (name, nonce)
) WITH (fillfactor = 50);

-- A row as it is given out; postgres/view.c reads it in this order. Entries: errors, then lines of log, which have no
-- kind; both in the same columns, because every row that is claimed pays for each.
CREATE TYPE @.view AS (
    id uuid, token uuid, queue bytea, kind bytea, tenant bytea, worker bytea, payload bytea, policy bytea, key bytea,
    result bytea, progress bytea, data bytea, trace bytea, payload_bytes bigint, state smallint, reason smallint,
    outcome smallint, priority integer, rank_add bigint, attempt bigint, failures integer, crashes integer,
    snoozes integer, releases integer, redrives integer, edits bigint, flags integer, shelf smallint, pending integer,
    created_at bigint, run_at bigint, started_at bigint, finished_at bigint, lease_until bigint, stop_at bigint,
    expires_at bigint, callback_until bigint, timeout bigint, has_callback boolean, overdue integer,
    edge_ids uuid[], edge_rules integer[], edge_states integer[],
    entry_attempts integer[], entry_kinds integer[], entry_ats bigint[], entry_workers bytea[], entry_texts bytea[]
);

-- What the two calls of an exchange answer. Types with names: a function with so many parameters makes a row type of
-- them with each call, out of the catalogue.
CREATE TYPE @.unit_answer AS (
    o_now bigint, o_next_due bigint, o_repeat boolean, o_same boolean, o_beat_held bigint[], o_marks @.view[],
    o_mark_at integer[], o_verdicts integer[], o_stales integer[], o_holders uuid[], o_leases bigint[],
    o_rows @.view[], o_row_at integer[], o_puts bigint[], o_put_holders uuid[], o_stop_asked boolean, o_then bigint,
    o_next_tick bigint, o_from bigint[]
);
CREATE TYPE @.want_answer AS (
    o_now bigint, o_next_due bigint, o_repeat boolean, o_token uuid, o_more boolean, o_rows @.view[],
    o_next_tick bigint, o_tick_names bytea[], o_tick_bytes bytea[], o_tick_nums bigint[], o_busy boolean,
    o_turns bytea[], o_turns_given bigint[], o_from bigint[], o_bytes bytea[], o_numbers bigint[]
);

-- The newest request of each client: what it was answered. part 0 is the unit, 1 the want, 2 both. A row is inserted
-- for the new request and the older one deleted: one row changed for ever would grow a chain of versions behind an open
-- snapshot.
CREATE TABLE @.receipt (
    client uuid NOT NULL,
    number bigint NOT NULL,
    part smallint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    items integer[] NOT NULL,
    answered bigint,
    beat_held bigint[],
    marks @.view[],
    mark_at integer[],
    verdicts integer[],
    stales integer[],
    holders uuid[],
    leases bigint[],
    puts bigint[],
    put_holders uuid[],
    stop_asked boolean,
    ids uuid[],
    token uuid,
    more boolean,
    PRIMARY KEY (client, number, part)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
-- Mostly random bytes: compressing them is more work for each claim than what it saves is worth.
ALTER TABLE @.receipt ALTER COLUMN ids SET STORAGE EXTERNAL;
