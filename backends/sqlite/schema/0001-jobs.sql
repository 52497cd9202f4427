-- SPDX-License-Identifier: MIT
-- Step 1 of the schema. Steps are only ever added: a store that was made by an older library is brought up by the ones
-- it has not seen. To change the schema: add a file, list it in meson.build, never touch an old one. "[name]" is the
-- table or index "<namespace>_name".

-- One row: who this store is, how its clock runs, how many events are kept and the cursor of the newest. bar is 1 only
-- inside a transaction that must not be committed. The version of the schema is here and not in user_version, which may
-- belong to the program whose file this is.
CREATE TABLE [meta] (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    store_id BLOB NOT NULL,
    boot TEXT NOT NULL,
    anchor INTEGER NOT NULL,
    high INTEGER NOT NULL,
    shift INTEGER NOT NULL,
    events INTEGER NOT NULL DEFAULT 0,
    event INTEGER NOT NULL DEFAULT 0,
    bar INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Queues by number, and their settings. grouped: a row of a group has been in it. results: those of rows that ended up
-- to here, at this instant up to this n, are gone.
CREATE TABLE [queue] (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    paused INTEGER NOT NULL DEFAULT 0,
    grouped INTEGER NOT NULL DEFAULT 0,
    depth INTEGER,
    concurrency INTEGER,
    group_concurrency INTEGER,
    rate INTEGER,
    rate_period INTEGER,
    keeps INTEGER NOT NULL DEFAULT 0,
    keep_completed INTEGER NOT NULL DEFAULT 0,
    keep_dead INTEGER NOT NULL DEFAULT 0,
    keep_cancelled INTEGER NOT NULL DEFAULT 0,
    keep_completed_ms INTEGER NOT NULL DEFAULT 0,
    keep_dead_ms INTEGER NOT NULL DEFAULT 0,
    keep_cancelled_ms INTEGER NOT NULL DEFAULT 0,
    keep_results_ms INTEGER NOT NULL DEFAULT 0,
    results_at INTEGER NOT NULL DEFAULT 0,
    results_n INTEGER NOT NULL DEFAULT 0
) STRICT;

-- How many rows each queue has in each state: what nearly every exchange writes, hence apart from the settings. Row 0
-- is the store's own line: it keeps the newest fence, so that a claim writes its fence and its counts into one page.
CREATE TABLE [tally] (
    queue INTEGER PRIMARY KEY,
    fence INTEGER NOT NULL DEFAULT 0,
    blocked INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL DEFAULT 0,
    later INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    enqueued_total INTEGER NOT NULL DEFAULT 0,
    completed_total INTEGER NOT NULL DEFAULT 0,
    dead_total INTEGER NOT NULL DEFAULT 0,
    cancelled_total INTEGER NOT NULL DEFAULT 0,
    failed_total INTEGER NOT NULL DEFAULT 0,
    completed_trimmed INTEGER NOT NULL DEFAULT 0,
    dead_trimmed INTEGER NOT NULL DEFAULT 0,
    cancelled_trimmed INTEGER NOT NULL DEFAULT 0,
    figures BLOB
) STRICT;
INSERT INTO [tally](queue) VALUES (0);

CREATE TABLE [kind] (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE
) STRICT;

-- Jobs. n rises with arrival. Instants are milliseconds by the store's clock, NULL for none. Every column costs every
-- statement that writes a row, so there are few: what most jobs never have stands together in rest (pack.c). Bytes
-- above a few hundred live in [bulk], so that a step which changes two numbers does not write them anew; a bit of flags
-- says so.
--   flags        enum row_flag; from bit 16 on the outcome, from bit 20 on the reason
--   list, place  which list the row stands in, and where. list 0: everything that runs, by the end of its lease; else
--                16 x queue + 1 due, by rank; 2 due and marked alone, by rank; 3 not due yet, by run_at; 4 completed,
--                5 dead, 6 cancelled, by the time they ended; 7 blocked; below 0: those that 1 would hold, of the
--                group whose lane has this number without the sign
--   tenant, lane the group, and its lane in the queue
--   alarm        when a row that does not run needs a look of the sweeper: deadline of a callback, expiry, children
--                that wait for a decision
CREATE TABLE [job] (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    state INTEGER NOT NULL,
    queue INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    list INTEGER NOT NULL,
    place INTEGER NOT NULL,
    alarm INTEGER,
    run_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    token BLOB,
    worker BLOB,
    started_at INTEGER,
    stop_at INTEGER,
    rest BLOB,
    lane INTEGER,
    tenant BLOB,
    policy BLOB,
    key BLOB,
    trace BLOB,
    progress BLOB,
    payload BLOB,
    result BLOB,
    data BLOB
) STRICT;
-- One index for all lists: each index costs every statement that writes a row, also when the row is not in it. kind is
-- there so that foreign kinds are passed without reading their rows, token so that a heartbeat finds its rows without
-- reading others.
CREATE INDEX [job_list] ON [job](list, place, n, kind, token);
CREATE INDEX [job_alarm] ON [job](alarm, n) WHERE alarm IS NOT NULL;

-- The rows of one group in one queue. running: how many of them run. ready: some may be due; set when one comes, taken
-- away by the want that finds none, so that the circle of the groups that are served in turn is an index that few steps
-- write.
CREATE TABLE [lane] (
    id INTEGER PRIMARY KEY,
    tenant BLOB NOT NULL,
    queue INTEGER NOT NULL,
    running INTEGER NOT NULL DEFAULT 0,
    ready INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, queue)
) STRICT;
CREATE INDEX [lane_circle] ON [lane](queue, tenant) WHERE ready = 1;

-- Limits of groups (of = 2; of no bytes: of every group) and plans (3). NULL: no value of its own, -1: no limit.
CREATE TABLE [limit] (
    of INTEGER NOT NULL,
    name BLOB NOT NULL,
    concurrency INTEGER,
    rate INTEGER,
    rate_period INTEGER,
    quota INTEGER,
    quota_period INTEGER,
    plan BLOB,
    PRIMARY KEY (of, name)
) STRICT, WITHOUT ROWID;

-- What counts for a rate: 1 starts of a queue, 2 starts of a group, 3 puts of a group. fades: when nothing of it does.
CREATE TABLE [gauge] (
    of INTEGER NOT NULL,
    name BLOB NOT NULL,
    fades INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (of, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX [gauge_fades] ON [gauge](fades);

-- slot = 4 x n + 1 payload, 2 result, 3 data
CREATE TABLE [bulk] (
    slot INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

-- The newest errors of a job; seq counts from 1.
CREATE TABLE [error] (
    job INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    worker BLOB,
    text BLOB,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

-- The newest lines of a job's log; seq rises.
CREATE TABLE [log] (
    job INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    worker BLOB,
    text BLOB,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

-- Who waits for whom. hard: the rule asks for a decision when the parent does not complete.
CREATE TABLE [edge] (
    child BLOB NOT NULL,
    parent BLOB NOT NULL,
    rule INTEGER NOT NULL,
    hard INTEGER NOT NULL,
    open INTEGER NOT NULL,
    PRIMARY KEY (child, parent)
) STRICT, WITHOUT ROWID;
CREATE INDEX [edge_open] ON [edge](parent, hard, child) WHERE open = 1;

-- What happened, in order, while events are kept.
CREATE TABLE [event] (
    cursor INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    job BLOB NOT NULL,
    queue INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    worker BLOB,
    state INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    run_at INTEGER NOT NULL
) STRICT;

-- Idempotency keys that are held. digest: of the payload; empty as long as the row of the job is there, which has it
-- too, so that more of these rows, which stand in no order, are in one page. ended: the state the job ended in, 0 while
-- it lives. fades: when a window that outlives its job is over.
CREATE TABLE [key] (
    scope BLOB PRIMARY KEY,
    job BLOB NOT NULL,
    hold INTEGER NOT NULL,
    until INTEGER NOT NULL,
    digest BLOB NOT NULL,
    ended INTEGER NOT NULL,
    fades INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX [key_fades] ON [key](fades) WHERE fades IS NOT NULL;

-- What is to be put when the holder of a key ends: the whole put as it was asked for. Its instants are still a base
-- (enum jobq_time_base) and an offset, because they count from then.
CREATE TABLE [successor] (
    scope BLOB NOT NULL UNIQUE,
    id BLOB NOT NULL,
    queue BLOB NOT NULL,
    kind BLOB NOT NULL,
    tenant BLOB,
    payload BLOB,
    policy BLOB,
    key BLOB,
    trace BLOB,
    priority INTEGER NOT NULL,
    rank_add INTEGER NOT NULL,
    run_base INTEGER NOT NULL,
    run_offset INTEGER NOT NULL,
    expires_base INTEGER NOT NULL,
    expires_offset INTEGER NOT NULL,
    timeout INTEGER NOT NULL,
    held INTEGER NOT NULL,
    hold INTEGER NOT NULL,
    window INTEGER NOT NULL,
    digest BLOB NOT NULL
) STRICT;

CREATE TABLE [worker] (
    name BLOB NOT NULL,
    nonce BLOB NOT NULL,
    host BLOB,
    pid INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    lease INTEGER NOT NULL,
    queues BLOB,
    kinds BLOB,
    capacity INTEGER NOT NULL,
    running INTEGER NOT NULL,
    stop_asked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (name, nonce)
) STRICT, WITHOUT ROWID;

-- Schedules. Instants by the calendar: the wall clock and the stored shift. bytes are the core's.
CREATE TABLE [schedule] (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    version INTEGER NOT NULL DEFAULT 1,
    paused INTEGER NOT NULL DEFAULT 0,
    fired INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL DEFAULT 0,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX [schedule_next] ON [schedule](next, name) WHERE paused = 0;

-- For triggers of the program's own tables: a row inserted here puts one job, in the transaction that does so,
-- whoever's connection it is. It follows the same rules as a put of the library, for the plainest of puts: no key, no
-- group, no delay. The payload is {"table_name", "operation", "record_id", "version", "change_data"}; versions are
-- drawn like fences, so that for one record they rise in the order of the commits. The library's clock is not within
-- reach: the wall clock stands in. Nothing here may rely on its own ON CONFLICT, because the statement that fired the
-- first trigger overrules it.
CREATE VIEW [outbox](queue, table_name, operation, record_id, change_data) AS
SELECT NULL, NULL, NULL, NULL, NULL WHERE 0;
CREATE TRIGGER [outbox_put] INSTEAD OF INSERT ON [outbox] BEGIN
    SELECT RAISE(ABORT, 'the file is not encoded in UTF-8') WHERE length(CAST('a' AS BLOB)) <> 1;
    SELECT RAISE(ABORT, 'queue: 1 to 255 bytes')
    WHERE coalesce(length(CAST(NEW.queue AS BLOB)), 0) NOT BETWEEN 1 AND 255;
    SELECT RAISE(ABORT, 'a row without an identity cannot be followed') WHERE NEW.record_id IS NULL;
    INSERT INTO [queue](name) SELECT CAST(NEW.queue AS BLOB)
    WHERE NOT EXISTS (SELECT 1 FROM [queue] WHERE name = CAST(NEW.queue AS BLOB));
    INSERT INTO [tally](queue) SELECT q.id FROM [queue] AS q
    WHERE q.name = CAST(NEW.queue AS BLOB) AND NOT EXISTS (SELECT 1 FROM [tally] AS t WHERE t.queue = q.id);
    INSERT INTO [kind](name) SELECT CAST('change' AS BLOB)
    WHERE NOT EXISTS (SELECT 1 FROM [kind] WHERE name = CAST('change' AS BLOB));
    SELECT RAISE(ABORT, 'the queue is full')
    FROM [queue] AS q JOIN [tally] AS t ON t.queue = q.id
    WHERE q.name = CAST(NEW.queue AS BLOB) AND t.blocked + t.due + t.later >= q.depth;
    UPDATE [tally] SET fence = max(fence + 1, 1000 * (SELECT min(4503599627370, m.shift
        + max(m.high, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))) FROM [meta] AS m)) WHERE queue = 0;
    -- An id begins with the time, as the library's do; a byte is a piece of the row of all bytes.
    INSERT INTO [job](id, state, queue, kind, flags, list, place, run_at, created_at, payload)
    SELECT CAST(substr(c.bytes, (c.at >> 40 & 255) + 1, 1) || substr(c.bytes, (c.at >> 32 & 255) + 1, 1)
                || substr(c.bytes, (c.at >> 24 & 255) + 1, 1) || substr(c.bytes, (c.at >> 16 & 255) + 1, 1)
                || substr(c.bytes, (c.at >> 8 & 255) + 1, 1) || substr(c.bytes, (c.at & 255) + 1, 1)
                || randomblob(10) AS BLOB),
        2, q.id, k.id, 0, 16 * q.id + 1, c.at, c.at, c.at,
        CAST(json_object('table_name', NEW.table_name, 'operation', NEW.operation, 'record_id', CAST(NEW.record_id AS TEXT),
                         'version', f.fence, 'change_data',
                         CASE WHEN NEW.operation = 'UPDATE' AND length(CAST(NEW.change_data AS BLOB)) > 1040000
                              THEN json_remove(NEW.change_data, '$.old') ELSE json(NEW.change_data) END) AS BLOB)
    FROM [queue] AS q, [kind] AS k, [tally] AS f, (
        SELECT m.shift + max(m.high, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)) AS at,
            x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff' AS bytes
        FROM [meta] AS m) AS c
    WHERE q.name = CAST(NEW.queue AS BLOB) AND k.name = CAST('change' AS BLOB) AND f.queue = 0;
    SELECT RAISE(ABORT, 'the row does not fit into a job: at most 1048576 bytes')
    FROM [job] AS j WHERE j.n = (SELECT max(n) FROM [job]) AND length(j.payload) > 1048576;
    UPDATE [tally] SET due = due + 1, enqueued_total = enqueued_total + 1
    WHERE queue = (SELECT q.id FROM [queue] AS q WHERE q.name = CAST(NEW.queue AS BLOB));
    UPDATE [meta] SET event = event + 1 WHERE events > 0;
    INSERT INTO [event](cursor, at, job, queue, kind, state, reason, attempt, run_at)
    SELECT m.event, j.created_at, j.id, j.queue, j.kind, j.state, 0, 0, j.run_at
    FROM [meta] AS m, [job] AS j WHERE m.events > 0 AND j.n = (SELECT max(n) FROM [job]);
    DELETE FROM [event] WHERE cursor <= (SELECT m.event - m.events FROM [meta] AS m WHERE m.events > 0);
END;
