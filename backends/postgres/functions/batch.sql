-- SPDX-License-Identifier: MIT
-- A lease for a batch. The rows of many plain jobs that one claim takes leave [job] and go into one row of [batch], as
-- they were put; whether they complete together or bit by bit changes that row alone, and retention removes it.
-- Whatever else happens to a member begins with its leaving: it is a row of [job] again, as it would be had there been
-- no batch. Nobody who takes, puts or looks for waiting rows meets a batch. Who finds no row looks here.
--
-- Order of locks: a batch, then rows of [job]. Who holds a row and finds that another is a member locks a batch late;
-- so a unit that changes some locks the batches of all of them first (batches_lock).

-- Is this row plain? It never ran, nothing hangs on it, nothing was said about it but what it was put with.
CREATE OR REPLACE FUNCTION @.is_plain(j @.job) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT j.attempt = 0 AND j.flags = 0 AND j.edits = 0 AND j.outcome = 0 AND j.children = 0 AND j.errors = 0
        AND j.failures = 0 AND j.crashes = 0 AND j.releases = 0 AND j.snoozes = 0 AND j.redrives = 0
        AND j.reason = 0 AND j.token IS NULL AND j.timeout IS NULL AND j.expires_at IS NULL AND j.callback IS NULL
        AND j.key_scope IS NULL AND j.progress IS NULL AND j.result IS NULL AND j.data IS NULL
        AND j.payload_bytes <= 8192
$$;

-- The ends of a list of ids.
CREATE OR REPLACE FUNCTION @.id_low(p_ids uuid[]) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT x.u FROM (SELECT unnest(p_ids) AS u) AS x ORDER BY x.u LIMIT 1
$$;
CREATE OR REPLACE FUNCTION @.id_high(p_ids uuid[]) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT x.u FROM (SELECT unnest(p_ids) AS u) AS x ORDER BY x.u DESC LIMIT 1
$$;

-- Where the members of a batch stand: those of p_bits (8 running, 16 completed).
CREATE OR REPLACE FUNCTION @.batch_places(b_fates smallint[], p_bits integer) RETURNS integer[] LANGUAGE sql IMMUTABLE
AS $$
    SELECT ARRAY(SELECT m.i::integer FROM unnest(b_fates) WITH ORDINALITY AS m(fate, i)
                 WHERE m.fate = 0 AND p_bits & 8 <> 0 OR m.fate > 0 AND p_bits & 16 <> 0 ORDER BY m.i)
$$;

-- What a batch keeps of a plain row.
CREATE OR REPLACE FUNCTION @.put_bytes(j @.job) RETURNS bytea[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[j.kind, j.tenant, j.payload, j.policy, j.key, j.trace]
$$;
CREATE OR REPLACE FUNCTION @.put_numbers(j @.job) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[j.n, j.priority, j.rank_add, j.created_at, j.run_at]
$$;

-- Members at these places as the rows they would be, in that order: all columns of [job], in its order. The other way
-- of put_bytes and put_numbers; the rest is as is_plain asks for, or as a claim makes it.
CREATE OR REPLACE FUNCTION @.members_at(b_queue integer, b_ids uuid[], b_bytes bytea[], b_numbers bigint[],
    b_fates smallint[], b_ends bigint[], b_token uuid, b_worker bytea, b_started_at bigint, b_until bigint,
    p_at integer[]) RETURNS SETOF @.job LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN QUERY
    SELECT b_ids[x.i], b_numbers[x.i][1], 1::bigint, 0::bigint, coalesce(octet_length(b_bytes[x.i][3]), 0)::bigint,
        b_numbers[x.i][5], b_numbers[x.i][3], b_numbers[x.i][4], b_queue,
        0, b_numbers[x.i][2]::integer, 0, 0, 0, 0, 0, 0, 0, 0, -- flags to redrives
        (CASE WHEN x.fate = 0 THEN 3 ELSE 4 END)::smallint, (CASE WHEN x.fate = 0 THEN 0 ELSE 1 END)::smallint,
        coalesce(b_ends[2 * x.fate], 0)::smallint,
        NULL::smallint, NULL::bigint, CASE WHEN x.fate = 0 THEN b_until END, -- shelf, place, clock
        b_started_at, b_ends[2 * x.fate - 1], CASE WHEN x.fate = 0 THEN b_until END,
        NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, -- stop_at to key_until
        b_token, NULL::smallint,
        b_bytes[x.i][1], b_worker, b_bytes[x.i][2], b_bytes[x.i][4], b_bytes[x.i][5], b_bytes[x.i][6],
        NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea, b_bytes[x.i][3], NULL::bytea, NULL::bytea
    FROM (SELECT u.i, b_fates[u.i] AS fate FROM unnest(p_at) WITH ORDINALITY AS u(i, o) ORDER BY u.o) AS x
    WHERE x.fate >= 0;
END $$;

-- Where these ids stand among a batch's, rising. Two lists without an order of their own: by hash.
CREATE OR REPLACE FUNCTION @.batch_positions(b_ids uuid[], p_ids uuid[]) RETURNS integer[] LANGUAGE plpgsql IMMUTABLE
SET enable_hashjoin = on AS $$
BEGIN
    IF b_ids = p_ids THEN
        RETURN ARRAY(SELECT generate_series(1, cardinality(b_ids)));
    ELSIF cardinality(p_ids) = 1 THEN
        RETURN array_remove(ARRAY[array_position(b_ids, p_ids[1])], NULL);
    END IF;
    RETURN ARRAY(SELECT m.i::integer FROM unnest(b_ids) WITH ORDINALITY AS m(id, i)
                 WHERE m.id IN (SELECT u.id FROM unnest(p_ids) AS u(id)) ORDER BY m.i);
END $$;

-- Batches whose ids these are among, and where. A batch's own ids, which are kept apart from the rest of its row, are
-- not looked at before one of these is within its bounds. STABLE: as of the statement that asks.
CREATE OR REPLACE FUNCTION @.batches_with(p_ids uuid[]) RETURNS TABLE (token uuid, queue integer, places integer[])
    LANGUAGE sql STABLE AS $$
    SELECT x.token, x.queue, x.places FROM (
        SELECT b.token, b.queue,
            CASE WHEN EXISTS (SELECT 1 FROM unnest(p_ids) AS u WHERE u BETWEEN b.low AND b.high)
                 THEN @.batch_positions(b.ids, p_ids) END AS places
        FROM @.batch AS b
        WHERE b.high >= CASE cardinality(p_ids) WHEN 1 THEN p_ids[1]
                ELSE (SELECT y.u FROM (SELECT unnest(p_ids) AS u) AS y ORDER BY y.u LIMIT 1) END
            AND b.low <= CASE cardinality(p_ids) WHEN 1 THEN p_ids[1]
                ELSE (SELECT y.u FROM (SELECT unnest(p_ids) AS u) AS y ORDER BY y.u DESC LIMIT 1) END
        OFFSET 0) AS x -- computed once
    WHERE cardinality(x.places) > 0
$$;

-- Members of all batches, by ids. What is in neither place for the statement that asks is nowhere. With a plan of its
-- own: to make one for all columns with each question costs more than the answer.
CREATE OR REPLACE FUNCTION @.members_of(p_ids uuid[]) RETURNS SETOF @.job LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT m.* FROM @.batches_with(p_ids) AS x JOIN @.batch AS b ON b.token = x.token AND b.queue = x.queue
    CROSS JOIN LATERAL @.members_at(b.queue, b.ids, b.bytes, b.numbers, b.fates, b.ends, b.token, b.worker,
        b.started_at, b.lease_until, x.places) AS m;
END $$;

-- Is there one?
CREATE OR REPLACE FUNCTION @.batch_has(p_ids uuid[]) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM @.batches_with(p_ids) AS x
                   JOIN @.batch AS b ON b.token = x.token AND b.queue = x.queue CROSS JOIN unnest(x.places) AS i
                   WHERE b.fates[i] >= 0);
END $$;

-- The same of a queue (NULL: of all), by state, with ids behind p_after.
CREATE OR REPLACE FUNCTION @.members(p_queue integer, p_bits integer, p_after uuid) RETURNS SETOF @.job
    LANGUAGE sql STABLE AS $$
    SELECT m.* FROM (
        SELECT b.* FROM @.batch AS b
        WHERE b.high > p_after AND (p_queue IS NULL OR b.queue = p_queue)
            AND (p_bits & 8 <> 0 AND b.running > 0 OR p_bits & 16 <> 0 AND b.completed > 0)) AS b
    CROSS JOIN LATERAL @.members_at(b.queue, b.ids, b.bytes, b.numbers, b.fates, b.ends, b.token, b.worker,
        b.started_at, b.lease_until, @.batch_places(b.fates, p_bits)) AS m
    WHERE m.id > p_after
$$;

-- The first ids of a list, by its filters: functions/read.sql. Rows are looked at only for what they alone know.
CREATE OR REPLACE FUNCTION @.members_like(p_queue integer, p_states integer, p_after uuid, p_kind bytea, p_tenant bytea,
    p_reason integer, p_before bigint, p_limit bigint) RETURNS TABLE (id uuid) LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF p_states & 24 = 0 THEN
        RETURN; -- they run or have completed
    ELSIF p_kind IS NULL AND p_tenant IS NULL AND (p_before IS NULL OR p_states & 8 = 0) THEN
        RETURN QUERY
        SELECT m.id FROM @.batch AS b CROSS JOIN LATERAL unnest(b.ids, b.fates) AS m(id, fate)
        WHERE b.high > p_after AND (p_queue IS NULL OR b.queue = p_queue) AND m.id > p_after
            AND (m.fate = 0 AND p_states & 8 <> 0 AND p_reason = 0
                 OR m.fate > 0 AND p_states & 16 <> 0 AND (p_reason = 0 OR b.ends[2 * m.fate] = p_reason)
                     AND (p_before IS NULL OR b.ends[2 * m.fate - 1] <= p_before))
        ORDER BY m.id LIMIT p_limit;
    ELSE
        RETURN QUERY
        SELECT m.id FROM @.batch AS b CROSS JOIN LATERAL @.members_at(b.queue, b.ids, b.bytes, b.numbers, b.fates,
            b.ends, b.token, b.worker, b.started_at, b.lease_until, @.batch_places(b.fates, p_states)) AS m
        WHERE b.high > p_after AND (p_queue IS NULL OR b.queue = p_queue) AND m.id > p_after
            AND (p_kind IS NULL OR m.kind = p_kind)
            AND (p_tenant IS NULL OR b.tenants IS NOT NULL AND m.tenant = p_tenant)
            AND (p_reason = 0 OR m.reason = p_reason)
            AND (p_before IS NULL OR coalesce(m.finished_at, m.created_at) <= p_before)
        ORDER BY m.id LIMIT p_limit;
    END IF;
END $$;

-- Members of a batch that is locked are rows of [job] again: those of p_bits, or those at p_at. One whose id is a row's
-- meanwhile, put from a snapshot that did not know it, is that row's from now on.
CREATE OR REPLACE FUNCTION @.batch_out(b @.batch, p_bits integer, p_at integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_at integer[] := p_at; v_running integer; v_completed integer; v_came integer; v_ended integer;
BEGIN
    IF v_at IS NULL THEN
        v_at := @.batch_places(b.fates, p_bits);
    END IF;
    SELECT count(*) FILTER (WHERE b.fates[i] = 0), count(*) FILTER (WHERE b.fates[i] > 0) INTO v_running, v_completed
    FROM unnest(v_at) AS i;
    IF v_running + v_completed = 0 THEN
        RETURN;
    END IF;
    WITH back AS (
        INSERT INTO @.job OVERRIDING SYSTEM VALUE
        SELECT m.* FROM @.members_at(b.queue, b.ids, b.bytes, b.numbers, b.fates, b.ends, b.token, b.worker,
            b.started_at, b.lease_until, v_at) AS m
        ON CONFLICT (id) DO NOTHING RETURNING finished_at
    )
    SELECT count(*), count(back.finished_at) INTO v_came, v_ended FROM back;
    IF v_ended > 0 THEN -- they may stand before what retention has met
        PERFORM nextval('@.jump');
    END IF;
    IF v_came < v_running + v_completed THEN
        PERFORM @.count(ARRAY[b.queue, 4, 0, v_running - v_came + v_ended,
                              b.queue, 5, 0, v_completed - v_ended]::bigint[]);
    END IF;
    PERFORM @.batch_end(b.token, b.queue, b.fates, b.ends, v_at);
END $$;

-- Members with these ids leave. Who was no member at that moment may be a row by now, or was one all the time.
CREATE OR REPLACE FUNCTION @.batch_leave(p_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE r record; b @.batch;
BEGIN
    FOR r IN SELECT x.* FROM @.batches_with(p_ids) AS x ORDER BY x.token, x.queue LOOP
        SELECT x.* INTO b FROM @.batch AS x WHERE x.token = r.token AND x.queue = r.queue FOR UPDATE;
        IF FOUND THEN
            PERFORM @.batch_out(b, 24, r.places);
        END IF;
    END LOOP;
END $$;

-- Batches with members of these ids are locked in their order.
CREATE OR REPLACE FUNCTION @.batches_lock(p_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM @.batches_with(p_ids) AS x JOIN @.batch AS b ON b.token = x.token AND b.queue = x.queue
    ORDER BY b.token, b.queue FOR UPDATE OF b;
END $$;

-- All members of all batches leave. Nobody makes a batch meanwhile: whoever calls holds off the claims.
CREATE OR REPLACE FUNCTION @.batches_leave() RETURNS void LANGUAGE plpgsql AS $$
DECLARE b @.batch;
BEGIN
    FOR b IN SELECT x.* FROM @.batch AS x ORDER BY x.token, x.queue FOR UPDATE LOOP
        PERFORM @.batch_out(b, 24, NULL);
    END LOOP;
END $$;

-- Locks the rows with these ids in the order of their ids; members leave before. What is nowhere when this returns was
-- nowhere at one moment, not in one place before the other was looked at. It goes round again only when somebody moved
-- one of them between its looks; whoever is a row then is locked, and moves no more.
CREATE OR REPLACE FUNCTION @.rows_lock(p_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_there uuid[]; v_locked uuid[];
BEGIN
    LOOP
        PERFORM @.batch_leave(p_ids);
        v_locked := ARRAY(SELECT j.id FROM @.job AS j WHERE j.id = ANY (p_ids) ORDER BY j.id FOR UPDATE);
        EXIT WHEN cardinality(v_locked) >= (SELECT count(DISTINCT u) FROM unnest(p_ids) AS u);
        v_there := ARRAY(SELECT j.id FROM @.job AS j WHERE j.id = ANY (p_ids) UNION ALL
                         SELECT m.id FROM @.members_of(p_ids) AS m);
        EXIT WHEN cardinality(v_there) <= cardinality(v_locked);
    END LOOP;
END $$;

-- Of the rows of one queue that a claim takes, p_plain of each: which of them become members, when p_before have been
-- taken before? Fewer than @FEW are not worth a batch; more than @MOST are more than is to be unpacked at once.
CREATE OR REPLACE FUNCTION @.batch_joins(p_plain boolean[], p_before integer) RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE v_places integer[] := array_positions(p_plain, true); v_most integer := cardinality(v_places);
BEGIN
    IF v_most = 0 OR v_most + p_before < @FEW OR p_before >= @MOST OR @.told() THEN
        RETURN array_fill(false, ARRAY[cardinality(p_plain)]);
    ELSIF v_most + p_before > @MOST THEN
        v_most := v_places[@MOST - p_before];
        RETURN p_plain[: v_most] || array_fill(false, ARRAY[cardinality(p_plain) - v_most]);
    END IF;
    RETURN p_plain;
END $$;

-- As want_pick, with what a claim of all of them needs, if they are plain and many (o_all): to look at the rows a
-- second time costs as much as to lock them. Who stands here has no group.
CREATE OR REPLACE FUNCTION @.batch_pick(p_now bigint, p_queue integer, p_from bigint, p_kinds bytea[],
    p_token uuid, p_limit bigint, OUT o_at tid[], OUT o_late boolean[], OUT o_plain boolean[], OUT o_sizes bigint[],
    OUT o_sum bigint, OUT o_starts bigint, OUT o_first bigint, OUT o_all boolean, OUT o_ids uuid[],
    OUT o_bytes bytea[], OUT o_numbers bigint[], OUT o_waits bigint[]) LANGUAGE plpgsql AS $$
BEGIN
    SELECT array_agg(h.at), array_agg(h.late), array_agg(h.plain), array_agg(h.payload_bytes),
        least(coalesce(sum(h.payload_bytes), 0), 9223372036854775807), count(*) FILTER (WHERE NOT h.late), min(h.place),
        bool_and(h.plain) AND count(*) BETWEEN @FEW AND @MOST,
        array_agg(h.id), array_agg(h.bytes), array_agg(h.numbers), array_agg(h.waited)
    INTO o_at, o_late, o_plain, o_sizes, o_sum, o_starts, o_first, o_all, o_ids, o_bytes, o_numbers, o_waits
    FROM (
        SELECT j.ctid AS at, j.payload_bytes, j.place, coalesce(j.expires_at <= p_now, false) AS late,
            @.is_plain(j) AS plain, j.id, @.put_bytes(j) AS bytes, @.put_numbers(j) AS numbers,
            greatest(p_now - greatest(j.run_at, j.created_at), 0) AS waited
        FROM @.job AS j
        WHERE j.queue = p_queue AND j.shelf = 1 AND j.place >= p_from
            AND (p_kinds IS NULL OR j.kind = ANY (p_kinds))
            AND (p_token IS NULL OR j.token IS NULL OR @.fence_of(j.token) < @.fence_of(p_token))
        ORDER BY j.place, j.n LIMIT p_limit FOR UPDATE SKIP LOCKED) AS h;
    o_all := o_all AND NOT coalesce(@.told(), false);
END $$;

-- Rows of a queue are members of a batch from now on. p_at: where they are in [job] and locked, NULL when they are out
-- of it; p_tenants: their groups, NULL when none has one.
CREATE OR REPLACE FUNCTION @.batch_make(p_now bigint, p_token uuid, p_until bigint, p_worker bytea, p_queue integer,
    p_at tid[], p_ids uuid[], p_bytes bytea[], p_numbers bigint[], p_waits bigint[], p_tenants bytea[]) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF p_at IS NOT NULL THEN
        DELETE FROM @.job AS j WHERE j.ctid = ANY (p_at);
    END IF;
    INSERT INTO @.batch (token, queue, running, started_at, lease_until, low, high, worker, fates, ids, bytes, numbers,
        tenants)
    VALUES (p_token, p_queue, cardinality(p_ids), p_now, p_until, @.id_low(p_ids), @.id_high(p_ids), p_worker,
        array_fill(0::smallint, ARRAY[cardinality(p_ids)]), p_ids, p_bytes, p_numbers, p_tenants);
    INSERT INTO @.tally
    SELECT p_queue, 2, 4, count(*), @.bucket(w), least(sum(w), 9223372036854775807)
    FROM unnest(p_waits) AS w GROUP BY @.bucket(w);
END $$;

-- A plain row as it is given out among others when it is claimed: [row_bytes] and [row_numbers] without what it has
-- not. The token is the want's.
CREATE OR REPLACE FUNCTION @.plain_bytes(j @.job, p_queue bytea, p_worker bytea) RETURNS bytea[]
    LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[uuid_send(j.id), NULL, p_queue, j.kind, j.tenant, p_worker, j.payload, j.policy, j.key, NULL, NULL,
        NULL, j.trace]
$$;
CREATE OR REPLACE FUNCTION @.plain_numbers(j @.job, p_now bigint, p_until bigint, p_place bigint) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[nullif(j.payload_bytes, 0), 3, NULL, NULL, nullif(j.priority, 0), nullif(j.rank_add, 0), 1, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, j.created_at, j.run_at, p_now, NULL, p_until, NULL, NULL, NULL,
        NULL, NULL, NULL, p_place]
$$;

-- Some of what is claimed, p_joins of each: they leave [job] and are members of a batch for each queue. As want_take.
-- The lists are in the order of p_at, as in batch_pick. p_keep: no batch is made yet; whoever asks has one queue, and
-- makes it of o_ids, o_put_bytes, o_put_numbers, o_waits and o_tenants.
CREATE OR REPLACE FUNCTION @.batch_take(p_now bigint, p_token uuid, p_until bigint, p_worker bytea, p_at tid[],
    p_of bytea[], p_joins boolean[], p_before integer, p_keep boolean, OUT o_bytes bytea[], OUT o_numbers bigint[],
    OUT o_ids uuid[], OUT o_places bigint[], OUT o_put_bytes bytea[], OUT o_put_numbers bigint[],
    OUT o_waits bigint[], OUT o_tenants bytea[]) LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN
        WITH gone AS (
            DELETE FROM @.job AS j USING unnest(p_at, p_of, p_joins) WITH ORDINALITY AS u(at, name, joins, i)
            WHERE j.ctid = u.at AND u.joins
            RETURNING j.queue, j.id, @.put_bytes(j) AS put_bytes, @.put_numbers(j) AS put_numbers, j.tenant, u.i,
                greatest(p_now - greatest(j.run_at, j.created_at), 0) AS waited,
                @.plain_bytes(j, u.name, p_worker) AS bytes,
                @.plain_numbers(j, p_now, p_until, p_before + u.i) AS numbers
        )
        SELECT g.queue, array_agg(g.id) AS ids, array_agg(g.put_bytes) AS put_bytes,
            array_agg(g.put_numbers) AS put_numbers, array_agg(g.i) AS places, array_agg(g.waited) AS waits,
            array_agg(g.bytes) AS bytes, array_agg(g.numbers) AS numbers, array_agg(g.tenant) AS tenants,
            bool_or(g.tenant <> '') AS grouped
        FROM gone AS g GROUP BY g.queue
    LOOP
        IF p_keep THEN
            o_put_bytes := r.put_bytes;
            o_put_numbers := r.put_numbers;
            o_waits := r.waits;
            o_tenants := r.tenants;
        ELSE
            PERFORM @.batch_make(p_now, p_token, p_until, p_worker, r.queue, NULL, r.ids, r.put_bytes,
                r.put_numbers, r.waits, CASE WHEN r.grouped THEN r.tenants END);
        END IF;
        o_bytes := o_bytes || r.bytes;
        o_numbers := o_numbers || r.numbers;
        o_ids := o_ids || r.ids;
        o_places := o_places || r.places;
    END LOOP;
END $$;

-- Which of these ids are a batch's: their places there, rising, and among p_ids. Two lists without an order of their
-- own: by hash.
CREATE OR REPLACE FUNCTION @.batch_pairs(b_ids uuid[], p_ids uuid[], OUT o_at integer[], OUT o_of integer[])
LANGUAGE plpgsql IMMUTABLE SET enable_hashjoin = on AS $$
DECLARE v_at integer;
BEGIN
    IF cardinality(p_ids) = 1 THEN
        v_at := array_position(b_ids, p_ids[1]);
        IF v_at IS NOT NULL THEN
            o_at := ARRAY[v_at];
            o_of := ARRAY[1];
        END IF;
    ELSE
        SELECT array_agg(m.i ORDER BY m.i), array_agg(u.i ORDER BY m.i) INTO o_at, o_of
        FROM unnest(b_ids) WITH ORDINALITY AS m(id, i) JOIN unnest(p_ids) WITH ORDINALITY AS u(id, i) ON u.id = m.id;
    END IF;
END $$;

-- What became of the members of a batch that is locked: its row is written or removed. Counted by expressions, which
-- are no statements to start.
CREATE OR REPLACE FUNCTION @.batch_write(p_token uuid, p_queue integer, p_fates smallint[], p_ends bigint[])
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_running integer := cardinality(array_positions(p_fates, 0::smallint));
    v_members integer := cardinality(p_fates) - cardinality(array_positions(p_fates, (-1)::smallint));
    v_first bigint;
BEGIN
    IF v_members = 0 THEN
        DELETE FROM @.batch AS b WHERE b.token = p_token AND b.queue = p_queue;
        RETURN;
    ELSIF v_members > v_running AND cardinality(p_ends) = 2 THEN
        v_first := p_ends[1];
    ELSIF v_members > v_running THEN
        v_first := (SELECT min(p_ends[2 * f - 1]) FROM unnest(p_fates) AS f WHERE f > 0);
    END IF;
    UPDATE @.batch AS b SET fates = p_fates, ends = p_ends, running = v_running, completed = v_members - v_running,
        lease_until = CASE WHEN v_running > 0 THEN b.lease_until END, finished_at = v_first
    WHERE b.token = p_token AND b.queue = p_queue;
END $$;

-- Members at these places are none any more.
CREATE OR REPLACE FUNCTION @.batch_end(p_token uuid, p_queue integer, p_fates smallint[], p_ends bigint[],
    p_places integer[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(p_places) LOOP
        p_fates[p_places[i]] := -1;
    END LOOP;
    PERFORM @.batch_write(p_token, p_queue, p_fates, p_ends);
END $$;

-- Members at these places, which run, as rows that completed now, with these reasons and results.
CREATE OR REPLACE FUNCTION @.members_done(b_queue integer, b_ids uuid[], b_bytes bytea[], b_numbers bigint[],
    b_fates smallint[], b_token uuid, b_worker bytea, b_started_at bigint, p_now bigint, p_at integer[],
    p_reasons bigint[], p_results bytea[]) RETURNS SETOF @.job LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE j @.job; v_i integer := 0;
BEGIN
    FOR j IN SELECT m.* FROM @.members_at(b_queue, b_ids, b_bytes, b_numbers, b_fates, '{}', b_token, b_worker,
        b_started_at, NULL, p_at) AS m
    LOOP
        v_i := v_i + 1;
        j.state := 4;
        j.outcome := 1;
        j.reason := p_reasons[v_i];
        j.finished_at := p_now;
        j.result := p_results[v_i];
        RETURN NEXT j;
    END LOOP;
END $$;

-- Members complete: changes that are plain, as [changes] has them. p_alike: all of them are the same. o_whole: all were
-- made; else o_done has those that were, in any order. Batches are locked in their order; rows are not touched, but for
-- those of members that complete with a result, which leave as what they are then. o_tenants: some may have had groups.
CREATE OR REPLACE FUNCTION @.batch_complete(p_now bigint, p_alike boolean, p_ids uuid[], p_tokens uuid[],
    p_nums bigint[], p_results bytea[], OUT o_whole boolean, OUT o_done integer[], OUT o_queues integer[],
    OUT o_tenants boolean) LANGUAGE plpgsql AS $$
DECLARE
    v_items integer := cardinality(p_ids); v_queue integer; v_ran bigint;
    v_at integer[]; v_of integer[]; v_fates smallint[]; v_ends bigint[]; v_end integer; v_count bigint; v_n integer;
    v_reason bigint; v_out integer[]; v_leaves boolean;
    b record;
BEGIN
    o_whole := false;
    o_tenants := false;
    IF p_alike AND v_items >= @FEW THEN -- what was claimed together
        UPDATE @.batch AS x SET fates = array_fill(1::smallint, ARRAY[v_items]), ends = ARRAY[p_now, p_nums[6]],
            running = 0, completed = v_items, lease_until = NULL, finished_at = p_now
        WHERE x.token = p_tokens[1] AND x.running = v_items AND x.ids = p_ids
        RETURNING x.queue, greatest(p_now - x.started_at, 0), x.tenants IS NOT NULL INTO v_queue, v_ran, o_tenants;
        IF FOUND THEN
            INSERT INTO @.tally VALUES (v_queue, 4, 5, v_items, @.bucket(v_ran),
                least(v_ran::numeric * v_items, 9223372036854775807), p_now);
            o_whole := true;
            o_queues := ARRAY[v_queue];
            RETURN;
        END IF;
    END IF;
    IF v_items = 1 AND p_alike THEN -- one by one: its own end, in one statement
        UPDATE @.batch AS x SET fates[array_position(x.ids, p_ids[1])] = cardinality(x.ends) / 2 + 1,
            ends = x.ends || ARRAY[p_now, p_nums[6]], running = x.running - 1, completed = x.completed + 1,
            lease_until = CASE WHEN x.running > 1 THEN x.lease_until END,
            finished_at = least(x.finished_at, p_now)
        WHERE x.token = p_tokens[1] AND x.running > 0 AND x.fates[array_position(x.ids, p_ids[1])] = 0
        RETURNING x.queue, greatest(p_now - x.started_at, 0), x.tenants IS NOT NULL INTO v_queue, v_ran, o_tenants;
        IF FOUND THEN
            INSERT INTO @.tally VALUES (v_queue, 4, 5, 1, @.bucket(v_ran), v_ran, p_now);
            o_whole := true;
            o_queues := ARRAY[v_queue];
        END IF;
        RETURN;
    END IF;
    FOR b IN
        SELECT x.token, x.queue, x.started_at, x.worker, x.fates, x.ends, x.ids, x.tenants IS NOT NULL AS grouped
        FROM @.batch AS x
        WHERE x.token = ANY (ARRAY(SELECT DISTINCT u FROM unnest(p_tokens) AS u)) AND x.running > 0
        ORDER BY x.token, x.queue FOR UPDATE
    LOOP
        SELECT p.o_at, p.o_of INTO v_at, v_of FROM @.batch_pairs(b.ids, p_ids) AS p;
        v_fates := b.fates;
        v_ends := b.ends;
        v_reason := NULL;
        v_count := 0;
        v_out := NULL;
        FOR k IN 1 .. coalesce(cardinality(v_at), 0) LOOP
            v_n := CASE WHEN p_alike THEN 0 ELSE 20 * v_of[k] - 20 END;
            CONTINUE WHEN v_fates[v_at[k]] <> 0 OR p_nums[v_n + 20] <> 1 OR p_nums[v_n + 3] > 0
                OR NOT p_alike AND p_tokens[v_of[k]] <> b.token;
            v_leaves := p_nums[v_n + 7] & 4 <> 0 AND p_results[v_of[k]] IS NOT NULL;
            IF v_leaves THEN
                v_out := v_out || k;
            ELSIF p_nums[v_n + 6] IS DISTINCT FROM v_reason THEN
                v_reason := p_nums[v_n + 6];
                v_ends := v_ends || ARRAY[p_now, v_reason];
                v_end := cardinality(v_ends) / 2;
            END IF;
            v_fates[v_at[k]] := CASE WHEN v_leaves THEN -1 ELSE v_end END;
            v_count := v_count + 1;
            o_done := o_done || v_of[k];
        END LOOP;
        CONTINUE WHEN v_count = 0;
        o_tenants := o_tenants OR b.grouped;
        IF v_out IS NOT NULL THEN
            INSERT INTO @.job OVERRIDING SYSTEM VALUE
            SELECT m.* FROM @.batch AS x CROSS JOIN LATERAL @.members_done(x.queue, x.ids, x.bytes, x.numbers, x.fates,
                x.token, x.worker, x.started_at, p_now, ARRAY(SELECT v_at[k] FROM unnest(v_out) AS k),
                ARRAY(SELECT p_nums[20 * v_of[k] - 14] FROM unnest(v_out) AS k),
                ARRAY(SELECT p_results[v_of[k]] FROM unnest(v_out) AS k)) AS m
            WHERE x.token = b.token AND x.queue = b.queue;
        END IF;
        PERFORM @.batch_write(b.token, b.queue, v_fates, v_ends);
        v_ran := greatest(p_now - b.started_at, 0);
        INSERT INTO @.tally VALUES (b.queue, 4, 5, v_count, @.bucket(v_ran),
            least(v_ran::numeric * v_count, 9223372036854775807), p_now);
        IF b.queue <> ALL (coalesce(o_queues, '{}')) THEN
            o_queues := o_queues || b.queue;
        END IF;
    END LOOP;
END $$;
