-- SPDX-License-Identifier: MIT
-- Puts that nothing is special about, in few statements: one job by itself, and those that a program puts in one call or
-- its threads at the same moment. They take the steps of puts.sql by its rules; where a step that they leave out would
-- do something, nothing is done, and whoever called goes the usual way. Sums are not bounded, as in one.sql.

-- They end alike: the receipt, who waits is told, and what comes next by time.
CREATE OR REPLACE FUNCTION @.puts_done(p_flags integer, p_client uuid, p_number bigint, p_drop bigint, p_count integer,
    p_now bigint, p_clock bigint, p_later bigint, p_tick bigint)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_next bigint[];
BEGIN
    PERFORM @.receipt_short(p_client, p_number, p_drop, ARRAY[0, 0, p_count], p_now, NULL, NULL);
    IF p_flags & 1 <> 0 AND @.wake() THEN
        NULL; -- an expression is no statement to start
    END IF;
    v_next := @.next_short(p_now, p_clock, p_later, p_tick);
    RETURN ARRAY[p_now, v_next[1], v_next[2], coalesce(p_clock, 0),
        coalesce(pg_stat_get_xact_tuples_returned('@.job_clock'::regclass), 0)];
END $$;

-- A job of its own that is put to be run at once, without a group, parents, a depth of its queue; its key, if it has
-- one (p_scope), is free and no window of a key has run out. p_flags: 1 tell who waits; p_known: the next clock, if
-- that is to come. NULL: nothing was done. Else {now, next due, next tick, next clock, entries met on the way to it}.
CREATE OR REPLACE FUNCTION @.one_put(p_flags integer, p_client uuid, p_number bigint, p_drop bigint, p_id uuid,
    p_queue bytea, p_kind bytea, p_priority integer, p_rank_add bigint, p_timeout bigint, p_payload bytea,
    p_policy bytea, p_key bytea, p_trace bytea, p_scope bytea, p_digest bytea, p_hold integer, p_window bigint,
    p_known bigint)
RETURNS bigint[] LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    v_now bigint := (date_part('epoch', clock_timestamp()) * 1000000)::bigint / 1000;
    v_queue integer; v_clock bigint; v_later bigint; v_tick bigint;
BEGIN
    IF p_scope IS NOT NULL THEN
        INSERT INTO @.key (scope, job, hold, until, digest)
        SELECT p_scope, p_id, p_hold, v_now + m.shift + p_window, p_digest FROM @.meta AS m
        WHERE m.one = 1 AND (SELECT f.fades FROM @.key AS f WHERE f.fades <= v_now + m.shift LIMIT 1) IS NULL
        ON CONFLICT (scope) DO NOTHING;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO @.job AS j (id, state, queue, kind, shelf, place, run_at, rank_add, priority, created_at, timeout,
        payload_bytes, policy, key, trace, key_scope, key_digest, key_hold, key_until, payload)
    SELECT p_id, 2, q.id, p_kind, 1, v_now + m.shift + p_rank_add, v_now + m.shift, p_rank_add, p_priority,
        v_now + m.shift, p_timeout, coalesce(octet_length(p_payload), 0), p_policy, p_key, p_trace, p_scope, p_digest,
        p_hold, v_now + m.shift + p_window, p_payload
    FROM @.meta AS m CROSS JOIN @.queue AS q
    WHERE m.one = 1 AND m.events = 0 AND q.name = p_queue AND q.depth IS NULL
        AND (SELECT r.number FROM @.receipt AS r WHERE r.client = p_client AND r.number >= p_number LIMIT 1) IS NULL
    ON CONFLICT (id) DO NOTHING
    RETURNING j.queue, j.created_at,
        CASE WHEN p_known > j.created_at THEN p_known
             ELSE @.clock_next(j.created_at, NULL) END,
        (SELECT k.run_at FROM @.job AS k WHERE k.shelf = 3 ORDER BY k.run_at LIMIT 1),
        (SELECT s.next_at FROM @.schedule AS s WHERE NOT s.paused ORDER BY s.next_at LIMIT 1)
    INTO v_queue, v_now, v_clock, v_later, v_tick;
    IF v_queue IS NULL THEN
        IF p_scope IS NOT NULL THEN
            DELETE FROM @.key AS k WHERE k.scope = p_scope;
        END IF;
        RETURN NULL;
    END IF;
    -- Is it a member of a batch? Asked only now, because the insert may have waited for who made it one.
    INSERT INTO @.tally
    SELECT v_queue, 0, 2, 1
    WHERE NOT EXISTS (SELECT 1 FROM @.batch AS b WHERE b.high >= p_id AND b.low <= p_id
                      AND b.fates[array_position(b.ids, p_id)] >= 0);
    IF NOT FOUND THEN
        DELETE FROM @.job AS j WHERE j.id = p_id;
        DELETE FROM @.key AS k WHERE p_scope IS NOT NULL AND k.scope = p_scope;
        RETURN NULL;
    END IF;
    RETURN @.puts_done(p_flags, p_client, p_number, p_drop, 1, v_now, v_clock, v_later, v_tick);
END $$;

-- The same for many of one queue, no two with the same id or key. p_nums: {priority, rank_add, timeout, hold, window} of
-- each, p_kinds: its kind; said once where all have the same. To insert without asking for each whether it is there, and
-- without looking at the rows again, is three quarters of what many cost otherwise. Arrays are taken apart in the list
-- of a subquery: as a table, which takes each of them apart by itself before they are put side by side, it is a
-- twentieth more.
CREATE OR REPLACE FUNCTION @.plain_puts(p_flags integer, p_client uuid, p_number bigint, p_drop bigint, p_queue bytea,
    p_ids uuid[], p_nums bigint[], p_kinds bytea[], p_payloads bytea[], p_policies bytea[], p_keys bytea[],
    p_traces bytea[], p_scopes bytea[], p_digests bytea[], p_known bigint)
RETURNS bigint[] LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    v_now bigint := (date_part('epoch', clock_timestamp()) * 1000000)::bigint / 1000;
    v_queue integer; v_clock bigint; v_later bigint; v_tick bigint;
    v_once bigint[] := CASE WHEN cardinality(p_nums) = 5 THEN p_nums END;
    v_priority integer := v_once[1]; v_rank_add bigint := v_once[2]; v_timeout bigint := v_once[3];
    v_hold integer := v_once[4]; v_window bigint := v_once[5];
    v_kind bytea := CASE WHEN cardinality(p_kinds) = 1 THEN p_kinds[1] END;
BEGIN
    SELECT q.id, v_now + m.shift,
        CASE WHEN p_known > v_now + m.shift THEN p_known
             ELSE @.clock_next(v_now + m.shift, NULL) END,
        (SELECT k.run_at FROM @.job AS k WHERE k.shelf = 3 ORDER BY k.run_at LIMIT 1),
        (SELECT s.next_at FROM @.schedule AS s WHERE NOT s.paused ORDER BY s.next_at LIMIT 1)
    INTO v_queue, v_now, v_clock, v_later, v_tick
    FROM @.meta AS m CROSS JOIN @.queue AS q
    WHERE m.one = 1 AND m.events = 0 AND q.name = p_queue AND q.depth IS NULL
        AND (SELECT r.number FROM @.receipt AS r WHERE r.client = p_client AND r.number >= p_number LIMIT 1) IS NULL
        AND (p_scopes IS NULL
             OR (SELECT f.fades FROM @.key AS f WHERE f.fades <= v_now + m.shift LIMIT 1) IS NULL);
    IF v_queue IS NULL THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF p_scopes IS NOT NULL THEN
            INSERT INTO @.key (scope, job, hold, until, digest)
            SELECT x.scope, x.id, coalesce(v_hold, p_nums[5 * x.i - 1]), v_now + coalesce(v_window, p_nums[5 * x.i]),
                x.digest
            FROM (SELECT unnest(p_ids) AS id, unnest(p_scopes) AS scope, unnest(p_digests) AS digest,
                      generate_series(1, cardinality(p_ids)) AS i) AS x
            WHERE x.scope IS NOT NULL ORDER BY x.scope;
        END IF;
        INSERT INTO @.job (id, state, queue, kind, shelf, place, run_at, rank_add, priority, created_at, timeout,
            payload_bytes, policy, key, trace, key_scope, key_digest, key_hold, key_until, payload)
        SELECT x.id, 2, v_queue, coalesce(v_kind, x.kind), 1, v_now + coalesce(v_rank_add, p_nums[5 * x.i - 3]), v_now,
            coalesce(v_rank_add, p_nums[5 * x.i - 3]), coalesce(v_priority, p_nums[5 * x.i - 4]), v_now,
            nullif(coalesce(v_timeout, p_nums[5 * x.i - 2]), 0), coalesce(octet_length(x.payload), 0), x.policy, x.key,
            x.trace, x.scope, x.digest, CASE WHEN x.scope IS NOT NULL THEN coalesce(v_hold, p_nums[5 * x.i - 1]) END,
            CASE WHEN x.scope IS NOT NULL THEN v_now + coalesce(v_window, p_nums[5 * x.i]) END, x.payload
        FROM (SELECT unnest(p_ids) AS id, unnest(CASE WHEN v_kind IS NULL THEN p_kinds END) AS kind,
                  unnest(p_payloads) AS payload, unnest(p_policies) AS policy, unnest(p_keys) AS key,
                  unnest(p_traces) AS trace, unnest(p_scopes) AS scope, unnest(p_digests) AS digest,
                  generate_series(1, cardinality(p_ids)) AS i) AS x;
        IF @.batch_has(p_ids) THEN -- some are members
            RAISE unique_violation;
        END IF;
    EXCEPTION WHEN unique_violation THEN
        RETURN NULL;
    END;
    INSERT INTO @.tally VALUES (v_queue, 0, 2, cardinality(p_ids));
    RETURN @.puts_done(p_flags, p_client, p_number, p_drop, cardinality(p_ids), v_now, v_clock, v_later, v_tick);
END $$;
