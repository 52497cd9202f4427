-- SPDX-License-Identifier: MIT
-- A lease for a batch. The rows of many plain jobs that one claim takes leave [job] and go into one row of [batch], as
-- they were put; whether they complete together or bit by bit changes that row alone, and retention removes it. Whatever
-- else happens to a member begins with its leaving: it is a row of [job] again, as it would be had there been no
-- batch. Nobody who takes, puts or looks for waiting rows meets a batch. Who finds no row looks here.
--
-- Order of locks: a batch, then rows of [job]. Who holds a row and finds that another is a member locks a batch late;
-- so units lock what they change in one go first (batch_rows_lock).

-- Is this row plain? It never ran, nothing hangs on it, nothing was said about it but what it was put with.
CREATE OR REPLACE FUNCTION @.is_plain(j @.job) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT j.attempt = 0 AND j.flags = 0 AND j.edits = 0 AND j.outcome = 0 AND j.children = 0 AND j.errors = 0
        AND j.failures = 0 AND j.crashes = 0 AND j.releases = 0 AND j.snoozes = 0 AND j.redrives = 0
        AND j.reason = 0 AND j.token IS NULL AND j.timeout IS NULL AND j.expires_at IS NULL AND j.callback IS NULL
        AND j.key_scope IS NULL AND j.tenant IS NULL AND j.progress IS NULL AND j.result IS NULL AND j.data IS NULL
        AND j.payload_bytes <= 8192
$$;

-- The ends of a list of ids.
CREATE OR REPLACE FUNCTION @.id_low(p_ids uuid[]) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT u FROM unnest(p_ids) AS u ORDER BY u LIMIT 1
$$;
CREATE OR REPLACE FUNCTION @.id_high(p_ids uuid[]) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT u FROM unnest(p_ids) AS u ORDER BY u DESC LIMIT 1
$$;

-- A member as the row it would be. p_finished_at NULL: it runs.
CREATE OR REPLACE FUNCTION @.member(j @.job, p_token uuid, p_worker bytea, p_started_at bigint, p_until bigint,
    p_finished_at bigint, p_reason bigint) RETURNS @.job LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    j.state := 3;
    j.shelf := NULL;
    j.place := NULL;
    j.attempt := 1;
    j.token := p_token;
    j.worker := p_worker;
    j.started_at := p_started_at;
    IF p_finished_at IS NULL THEN
        j.lease_until := p_until;
        j.clock := p_until;
    ELSE
        j.state := 4;
        j.outcome := 1;
        j.reason := p_reason;
        j.finished_at := p_finished_at;
    END IF;
    RETURN j;
END $$;

-- The members of one batch as rows: those of p_bits (8 running, 16 completed) with one of p_ids (NULL: all).
CREATE OR REPLACE FUNCTION @.members_in(b_rows @.job[], b_fates smallint[], b_ends bigint[], b_token uuid,
    b_worker bytea, b_started_at bigint, b_until bigint, p_bits integer, p_ids uuid[]) RETURNS SETOF @.job
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE j @.job; v_i integer := 0; v_fate integer;
BEGIN
    FOREACH j IN ARRAY b_rows LOOP
        v_i := v_i + 1;
        v_fate := b_fates[v_i];
        IF v_fate = 0 AND p_bits & 8 <> 0 OR v_fate > 0 AND p_bits & 16 <> 0 THEN
            IF p_ids IS NULL OR j.id = ANY (p_ids) THEN
                RETURN NEXT @.member(j, b_token, b_worker, b_started_at, b_until, b_ends[2 * v_fate - 1],
                    b_ends[2 * v_fate]);
            END IF;
        END IF;
    END LOOP;
END $$;

-- Of all batches, by ids. STABLE: as of the statement that asks, so that what is in neither place for it is nowhere.
CREATE OR REPLACE FUNCTION @.members_of(p_ids uuid[]) RETURNS SETOF @.job LANGUAGE sql STABLE AS $$
    SELECT m.* FROM (
        SELECT b.* FROM @.batch AS b
        WHERE b.high >= (SELECT @.id_low(p_ids)) AND b.low <= (SELECT @.id_high(p_ids))
            AND b.ids && p_ids) AS b
    CROSS JOIN LATERAL @.members_in(b.rows, b.fates, b.ends, b.token, b.worker, b.started_at, b.lease_until, 24,
        p_ids) AS m
$$;

-- The same of a queue (NULL: of all), by state, with ids behind p_after.
CREATE OR REPLACE FUNCTION @.members(p_queue integer, p_bits integer, p_after uuid) RETURNS SETOF @.job
    LANGUAGE sql STABLE AS $$
    SELECT m.* FROM (
        SELECT b.* FROM @.batch AS b
        WHERE b.high > p_after AND (p_queue IS NULL OR b.queue = p_queue)
            AND (p_bits & 8 <> 0 AND b.running > 0 OR p_bits & 16 <> 0 AND b.completed > 0)) AS b
    CROSS JOIN LATERAL @.members_in(b.rows, b.fates, b.ends, b.token, b.worker, b.started_at, b.lease_until, p_bits,
        NULL) AS m
    WHERE m.id > p_after
$$;

-- Members of a batch that is locked are rows of [job] again.
CREATE OR REPLACE FUNCTION @.batch_out(b @.batch, p_bits integer, p_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_out uuid[];
BEGIN
    WITH back AS (
        INSERT INTO @.job OVERRIDING SYSTEM VALUE
        SELECT m.* FROM @.members_in(b.rows, b.fates, b.ends, b.token, b.worker, b.started_at, b.lease_until, p_bits,
            p_ids) AS m RETURNING id
    )
    SELECT array_agg(back.id) INTO v_out FROM back;
    IF v_out IS NULL THEN
        RETURN;
    END IF;
    PERFORM @.batch_fates(b, @.batch_positions(b.ids, v_out), -1::smallint, b.ends);
END $$;

-- Where these ids stand among a batch's. Two lists without an order of their own: by hash.
CREATE OR REPLACE FUNCTION @.batch_positions(b_ids uuid[], p_ids uuid[]) RETURNS integer[] LANGUAGE plpgsql IMMUTABLE
SET enable_hashjoin = on AS $$
BEGIN
    IF b_ids = p_ids THEN
        RETURN ARRAY(SELECT generate_series(1, cardinality(b_ids)));
    ELSIF cardinality(p_ids) = 1 THEN
        RETURN ARRAY[array_position(b_ids, p_ids[1])];
    END IF;
    RETURN ARRAY(SELECT m.i::integer FROM unnest(b_ids) WITH ORDINALITY AS m(id, i)
                 JOIN unnest(p_ids) AS u(id) ON u.id = m.id ORDER BY m.i);
END $$;

-- Members at these places have another fate: the row of the batch, which is locked, is written or removed.
CREATE OR REPLACE FUNCTION @.batch_fates(b @.batch, p_at integer[], p_fate smallint, p_ends bigint[]) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE v_fates smallint[]; v_running integer; v_completed integer; v_first bigint;
BEGIN
    v_fates := b.fates;
    FOR i IN 1 .. cardinality(p_at) LOOP
        v_fates[p_at[i]] := p_fate;
    END LOOP;
    SELECT count(*) FILTER (WHERE f = 0), count(*) FILTER (WHERE f > 0), min(p_ends[2 * f - 1]) FILTER (WHERE f > 0)
    INTO v_running, v_completed, v_first FROM unnest(v_fates) AS f;
    IF v_running + v_completed = 0 THEN
        DELETE FROM @.batch AS x WHERE x.token = b.token AND x.queue = b.queue;
    ELSE
        UPDATE @.batch AS x SET fates = v_fates, ends = p_ends, running = v_running, completed = v_completed,
            finished_at = v_first
        WHERE x.token = b.token AND x.queue = b.queue;
    END IF;
END $$;

-- Members with these ids leave. Who was no member at that moment may be a row by now, or was one all the time.
CREATE OR REPLACE FUNCTION @.batch_leave(p_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE b @.batch;
BEGIN
    FOR b IN
        SELECT x.* FROM @.batch AS x
        WHERE x.high >= (SELECT @.id_low(p_ids)) AND x.low <= (SELECT @.id_high(p_ids))
            AND x.ids && p_ids
        ORDER BY x.token, x.queue FOR UPDATE
    LOOP
        PERFORM @.batch_out(b, 24, p_ids);
    END LOOP;
END $$;

-- Locks the rows with these ids in the order of their ids; members leave before. What is nowhere when this returns was
-- nowhere at one moment, not in one place before the other was looked at.
CREATE OR REPLACE FUNCTION @.rows_lock(p_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_there uuid[]; v_locked uuid[];
BEGIN
    LOOP
        v_locked := ARRAY(SELECT j.id FROM @.job AS j WHERE j.id = ANY (p_ids) ORDER BY j.id FOR UPDATE);
        EXIT WHEN cardinality(v_locked) >= (SELECT count(DISTINCT u) FROM unnest(p_ids) AS u);
        v_there := ARRAY(SELECT j.id FROM @.job AS j WHERE j.id = ANY (p_ids) UNION ALL
                         SELECT m.id FROM @.members_of(p_ids) AS m);
        EXIT WHEN cardinality(v_there) <= cardinality(v_locked);
        PERFORM @.batch_leave(p_ids);
    END LOOP;
END $$;

-- Of the rows of one queue that a claim takes, p_plain of each: which of them become members? Fewer than eight are not
-- worth a batch; more than 4,096 are more than is to be unpacked at once.
CREATE OR REPLACE FUNCTION @.batch_joins(p_plain boolean[]) RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE v_places integer[] := array_positions(p_plain, true); v_most integer := cardinality(v_places);
BEGIN
    IF v_most < 8 OR @.told() THEN
        RETURN array_fill(false, ARRAY[cardinality(p_plain)]);
    ELSIF v_most > 4096 THEN
        RETURN p_plain[: v_places[4096]] || array_fill(false, ARRAY[cardinality(p_plain) - v_places[4096]]);
    END IF;
    RETURN p_plain;
END $$;

-- Rows that are locked become members: those of each queue of a batch. As want_take; o_places are those of o_ids.
CREATE OR REPLACE FUNCTION @.batch_take(p_now bigint, p_token uuid, p_until bigint, p_worker bytea, p_at tid[],
    p_of bytea[], p_joins boolean[], p_before integer, OUT o_bytes bytea[], OUT o_numbers bigint[], OUT o_ids uuid[],
    OUT o_places bigint[]) LANGUAGE plpgsql AS $$
DECLARE v_token bytea := uuid_send(p_token);
BEGIN
    WITH taken AS (
        DELETE FROM @.job AS j USING unnest(p_at, p_of, p_joins) WITH ORDINALITY AS u(at, name, joins, i)
        WHERE j.ctid = u.at AND u.joins
        RETURNING u.i, j.id, j.queue, j AS as_put, greatest(p_now - greatest(j.run_at, j.created_at), 0) AS waited,
            ARRAY[uuid_send(j.id), v_token, u.name, j.kind, NULL, p_worker, j.payload, j.policy, j.key, NULL, NULL,
                NULL, j.trace] AS bytes,
            ARRAY[nullif(j.payload_bytes, 0), 3, NULL, NULL, nullif(j.priority, 0), nullif(j.rank_add, 0), 1, NULL,
                NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, j.created_at, j.run_at, p_now, NULL, p_until, NULL,
                NULL, NULL, NULL, NULL, NULL, p_before + u.i] AS numbers
    ), kept AS (
        INSERT INTO @.batch (token, queue, running, started_at, lease_until, low, high, worker, fates, ids, rows)
        SELECT p_token, t.queue, count(*), p_now, p_until, (array_agg(t.id ORDER BY t.id))[1],
            (array_agg(t.id ORDER BY t.id))[count(*)], p_worker, array_fill(0::smallint, ARRAY[count(*)::integer]),
            array_agg(t.id ORDER BY t.i), array_agg(t.as_put ORDER BY t.i)
        FROM taken AS t GROUP BY t.queue
    ), counted AS (
        INSERT INTO @.tally
        SELECT t.queue, 2, 4, count(*), @.bucket(t.waited), least(sum(t.waited), 9223372036854775807)
        FROM taken AS t GROUP BY t.queue, @.bucket(t.waited)
    )
    SELECT array_agg(t.bytes), array_agg(t.numbers), array_agg(t.id ORDER BY t.i), array_agg(t.i ORDER BY t.i)
    INTO o_bytes, o_numbers, o_ids, o_places FROM taken AS t;
END $$;
