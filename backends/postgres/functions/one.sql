-- SPDX-License-Identifier: MIT
-- One for one: a worker that holds one job at a time hands it in and takes the next. Starting a statement costs more
-- than running it, and the first use of an expression more than the others; so where neither the jobs, nor their
-- queue, nor the store have anything special about them this is four statements instead of twenty. It takes the steps
-- of changes.sql, trim.sql and want.sql by their rules. Where a step that it leaves out would do something, nothing
-- is done, and whoever called goes the usual way. It waits for nobody (a put for whoever puts the same), so the two
-- parts can share a transaction without a deadlock. Sums are not bounded: one that overflows is an error, and the
-- usual way is gone.

-- Is there nothing that a claim or an end has to look at?
CREATE OR REPLACE FUNCTION @.queue_is_plain(q @.queue) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT NOT q.paused AND NOT q.grouped AND q.concurrency IS NULL AND q.group_concurrency IS NULL AND q.rate IS NULL
$$;

-- How many rows may end before retention is looked at again, when p_over are over the count and up to p_most were
-- removed. A few may stay, one in p_part, p_slack at most: all workers together leave no more than that.
CREATE OR REPLACE FUNCTION @.one_left(p_keep bigint, p_over bigint, p_most bigint, p_part bigint, p_slack bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF p_keep < 0 THEN
        RETURN 64;
    ELSIF p_over > p_most THEN
        RETURN 0;
    END IF;
    RETURN least(least(p_keep / p_part, p_slack) - least(p_over, 0), 64)
        / greatest((SELECT count(*) FROM @.worker AS w), 1);
END $$;

-- A short way has one receipt, for the unit and the want. The one before becomes it: its number is part of the key, so
-- this is what putting one and dropping the other is, in one statement.
CREATE OR REPLACE FUNCTION @.receipt_short(p_client uuid, p_number bigint, p_drop bigint, p_items integer[],
    p_answered bigint, p_ids uuid[], p_token uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE @.receipt AS r SET number = p_number, at = clock_timestamp(), items = p_items, answered = p_answered,
        ids = p_ids, token = p_token
    WHERE r.client = p_client AND r.number = p_drop AND r.part = 0 AND NOT r.more;
    IF NOT FOUND THEN
        INSERT INTO @.receipt (client, number, part, items, answered, ids, token, more)
        VALUES (p_client, p_number, 0, p_items, p_answered, p_ids, p_token, false);
        DELETE FROM @.receipt AS r WHERE r.client = p_client AND r.number = p_drop;
    END IF;
END $$;

-- {next due, next tick} of the next instants of [job_clock], of jobs that run later and of schedules.
CREATE OR REPLACE FUNCTION @.next_short(p_now bigint, p_clock bigint, p_later bigint, p_tick bigint)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_tick bigint := coalesce(p_tick, 9223372036854775807);
    v_due bigint := coalesce(least(p_clock, p_later, v_tick), 9223372036854775807);
BEGIN
    IF v_due <= p_now THEN
        RETURN @.next_due(p_now, p_clock);
    END IF;
    RETURN ARRAY[v_due, v_tick];
END $$;

-- p_flags: 1 with a result, 2 the process holds other rows. p_from, p_ended: where the fronts are, as of the want and
-- the unit. p_left: {how many rows may end without a look at retention, the count that this goes by, what a slack
-- is}. NULL: nothing was done. Else {numbers, front of the want, fronts of ended rows, bytes and numbers of the row
-- that was claimed}. Numbers: now, next due, next tick, then p_left as it is now, the first two of it.
CREATE OR REPLACE FUNCTION @.one(p_flags integer, p_client uuid, p_number bigint, p_drop bigint, p_id uuid,
    p_token uuid, p_edits bigint, p_reason integer, p_result bytea, p_trim bigint[], p_ended bigint[], p_left bigint[],
    p_lease bigint, p_worker bytea, p_mint bytea, p_queues bytea[], p_kinds bytea[], p_from bigint[])
RETURNS bytea[] LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    v_now bigint; v_queue integer; v_jump bigint := coalesce(pg_sequence_last_value('@.jump'::regclass), 0);
    v_from bigint := CASE WHEN p_from[2] = v_jump THEN p_from[4] ELSE @.nowhere() END;
    v_alone integer := CASE WHEN p_flags & 2 <> 0 THEN 0 ELSE 4 END;
    v_keep bigint; v_keep_ms bigint; v_results bigint; v_clock bigint; v_later bigint; v_tick bigint; v_next bigint[];
    v_ends tid; v_ran bigint; v_starts tid; v_id uuid; v_place bigint; v_waited bigint; v_until bigint; v_stop bigint;
    v_token uuid; v_bytes bytea[]; v_numbers bigint[]; v_plain boolean;
    v_ended bigint[] := p_ended[2:]; v_left bigint[] := p_left; v_over bigint;
BEGIN
    -- Who sets a limit waits for us; we for nobody.
    IF NOT pg_try_advisory_xact_lock_shared(@LOCK + 5) THEN
        RETURN NULL;
    END IF;
    SELECT l.now, q.id, coalesce(q.keep_count[5], p_trim[6]), coalesce(q.keep_ms[5], p_trim[14]),
        coalesce(q.keep_ms[1], p_trim[10]),
        CASE WHEN p_from[1] > l.now THEN p_from[1]
             ELSE @.clock_next(l.now, p_id) END,
        (SELECT k.run_at FROM @.job AS k WHERE k.shelf = 3 ORDER BY k.run_at LIMIT 1),
        (SELECT s.next_at FROM @.schedule AS s WHERE NOT s.paused ORDER BY s.next_at LIMIT 1),
        a.at, greatest(l.now - a.started_at, 0), b.at, b.id, b.place, greatest(l.now - b.since, 0), b.bytes, b.numbers,
        l.events = 0 AND b.plain AND @.queue_is_plain(q)
            AND (SELECT r.number FROM @.receipt AS r WHERE r.client = p_client AND r.number >= p_number LIMIT 1) IS NULL
    INTO v_now, v_queue, v_keep, v_keep_ms, v_results, v_clock, v_later, v_tick, v_ends, v_ran, v_starts, v_id,
        v_place, v_waited,
        v_bytes, v_numbers, v_plain
    FROM (SELECT (date_part('epoch', clock_timestamp()) * 1000000)::bigint / 1000 + m.shift AS now, m.events
          FROM @.meta AS m WHERE m.one = 1) AS l
    CROSS JOIN @.queue AS q
    CROSS JOIN LATERAL (
        SELECT k.ctid AS at, k.started_at FROM @.job AS k
        WHERE k.id = p_id AND (k.state = 3) IS TRUE AND (k.token = p_token) IS TRUE AND k.outcome = 0
            AND (p_edits < 0 OR k.edits = p_edits) AND k.queue = q.id AND k.children = 0 AND k.flags & 64 = 0
            AND k.key_scope IS NULL AND k.tenant IS NULL FOR UPDATE SKIP LOCKED) AS a
    CROSS JOIN LATERAL (
        SELECT k.ctid AS at, k.id, k.place, k.n, greatest(k.run_at, k.created_at) AS since,
            k.expires_at IS NULL AND k.key_hold IS DISTINCT FROM 1 AND k.callback IS NULL AS plain,
            ARRAY[uuid_send(k.id), NULL, p_queues[1], k.kind, k.tenant, p_worker, k.payload, k.policy, k.key, NULL,
                NULL, k.data, k.trace] AS bytes,
            ARRAY[k.payload_bytes, 3, 0, 0, k.priority, k.rank_add, k.attempt + 1, k.failures, k.crashes, k.snoozes,
                k.releases, k.redrives, k.edits, k.flags & ~396 | v_alone, NULL, k.pending, k.created_at, k.run_at,
                l.now, NULL, least(l.now + p_lease, l.now + k.timeout), l.now + k.timeout, NULL, k.callback_until,
                k.timeout, NULL, 0, 1] AS numbers
        FROM @.job AS k
        WHERE k.queue = q.id AND k.shelf = 1 AND k.place >= v_from AND (p_kinds IS NULL OR k.kind = ANY (p_kinds))
        ORDER BY k.place, k.n LIMIT 1 FOR UPDATE SKIP LOCKED) AS b
    WHERE q.name = p_queues[1];
    IF v_plain IS NOT TRUE
        OR v_later <= v_now AND EXISTS (SELECT 1 FROM @.job AS j
                                        WHERE j.queue = v_queue AND j.shelf = 3 AND j.place <= v_now) THEN
        RETURN NULL;
    END IF;
    v_until := v_numbers[21];
    v_stop := v_numbers[22];
    v_token := @.token_next(p_mint); -- not before the row is ours
    UPDATE @.job AS j SET shelf = NULL, place = NULL,
        state = CASE WHEN j.ctid = v_ends THEN 4 ELSE 3 END,
        reason = CASE WHEN j.ctid = v_ends THEN p_reason ELSE 0 END,
        outcome = CASE WHEN j.ctid = v_ends THEN 1 ELSE 0 END,
        token = CASE WHEN j.ctid = v_ends THEN p_token ELSE v_token END,
        attempt = CASE WHEN j.ctid = v_ends THEN j.attempt ELSE j.attempt + 1 END,
        flags = CASE WHEN j.ctid = v_ends THEN j.flags ELSE j.flags & ~396 | v_alone END,
        worker = CASE WHEN j.ctid = v_ends THEN j.worker ELSE p_worker END,
        progress = CASE WHEN j.ctid = v_ends THEN j.progress END,
        result = CASE WHEN j.ctid = v_ends AND p_flags & 1 <> 0 THEN p_result ELSE j.result END,
        started_at = CASE WHEN j.ctid = v_ends THEN j.started_at ELSE v_now END,
        finished_at = CASE WHEN j.ctid = v_ends THEN v_now END,
        lease_until = CASE WHEN j.ctid = v_starts THEN v_until END,
        stop_at = CASE WHEN j.ctid = v_starts THEN v_stop END,
        clock = CASE WHEN j.ctid = v_starts THEN v_until END
    WHERE j.ctid = ANY (ARRAY[v_ends, v_starts]);
    INSERT INTO @.tally VALUES (v_queue, 4, 5, 1, @.bucket(v_ran), v_ran, v_now),
        (v_queue, 2, 4, 1, @.bucket(v_waited), v_waited, NULL);
    IF p_left[1] > 0 AND p_left[2] = v_keep AND v_results <= 0 AND v_ended[1] = v_jump
        AND (v_keep_ms <= 0 OR @.add(@.front_of(v_ended, v_queue, 4), v_keep_ms) >= v_now) THEN
        v_left[1] := p_left[1] - 1;
    ELSIF p_trim IS NOT NULL THEN
        v_left := ARRAY[0, v_keep];
        v_over := CASE WHEN v_keep >= 0 THEN @.present(v_queue, 5) - v_keep END;
        IF pg_try_advisory_xact_lock(@LOCK + 2) THEN
            v_left[1] := @.one_left(v_keep, v_over, p_trim[1], p_left[3], p_left[4]);
        END IF;
        v_ended := @.trim(v_now, ARRAY[v_queue, 4], p_trim[1:17], v_ended, v_jump); -- the slack is used up here
    END IF;
    PERFORM @.receipt_short(p_client, p_number, p_drop, '{0,1,0}', v_now, ARRAY[v_id], v_token);
    v_next := @.next_short(v_now, v_clock, v_later, v_tick);
    v_bytes[2] := uuid_send(v_token);
    RETURN ARRAY[array_send(ARRAY[v_now, v_next[1], v_next[2]] || v_left),
        array_send(ARRAY[coalesce(v_clock, 0), coalesce(pg_stat_get_xact_tuples_returned('@.job_clock'::regclass), 0),
            v_jump, coalesce(pg_stat_get_xact_tuples_returned('@.job_shelf'::regclass), 0),
            least(v_place, v_now - 2000)]),
        array_send(ARRAY[0, 0] || v_ended), array_send(ARRAY[v_bytes]), array_send(ARRAY[v_numbers])];
END $$;
