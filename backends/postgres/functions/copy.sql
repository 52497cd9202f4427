-- SPDX-License-Identifier: MIT
-- Everything that is stored, as it is: pages of it out, items of it in. Whoever loads does it all in one transaction.

-- ---- out ------------------------------------------------------------------------------------------------------------

-- Queues with their settings and totals; names after p_after, NULL: from the first.
CREATE OR REPLACE FUNCTION @.dump_queues(p_after bytea, p_limit bigint) RETURNS TABLE (name bytea, paused boolean,
    depth bigint, keep_count bigint[], keep_ms bigint[], enqueued_total bigint, completed_total bigint,
    dead_total bigint, cancelled_total bigint, failed_total bigint, completed_trimmed bigint, dead_trimmed bigint,
    cancelled_trimmed bigint, concurrency bigint, group_concurrency bigint, rate bigint, rate_ms bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH t AS (
        SELECT queue, sum(rows) FILTER (WHERE was = 0) AS enqueued, sum(rows) FILTER (WHERE came = 5) AS completed,
            sum(rows) FILTER (WHERE came = 6) AS dead, sum(rows) FILTER (WHERE came = 7) AS cancelled,
            sum(rows) FILTER (WHERE came = 9) AS failed,
            sum(rows) FILTER (WHERE was = 5 AND came = 10) AS completed_trimmed,
            sum(rows) FILTER (WHERE was = 6 AND came = 10) AS dead_trimmed,
            sum(rows) FILTER (WHERE was = 7 AND came = 10) AS cancelled_trimmed
        FROM @.tally GROUP BY queue
    )
    SELECT q.name, q.paused, q.depth, q.keep_count, q.keep_ms, (q.enqueued_total + coalesce(t.enqueued, 0))::bigint,
        (q.completed_total + coalesce(t.completed, 0))::bigint, (q.dead_total + coalesce(t.dead, 0))::bigint,
        (q.cancelled_total + coalesce(t.cancelled, 0))::bigint, (q.failed_total + coalesce(t.failed, 0))::bigint,
        (q.completed_trimmed + coalesce(t.completed_trimmed, 0))::bigint,
        (q.dead_trimmed + coalesce(t.dead_trimmed, 0))::bigint,
        (q.cancelled_trimmed + coalesce(t.cancelled_trimmed, 0))::bigint,
        q.concurrency, q.group_concurrency, q.rate, q.rate_ms
    FROM @.queue AS q LEFT JOIN t ON t.queue = q.id
    WHERE (p_after IS NULL OR q.name > p_after) AND (q.known OR q.enqueued_total + coalesce(t.enqueued, 0) > 0)
    ORDER BY q.name LIMIT p_limit;
END $$;

-- Limits of groups (p_of 2) or plans (3), by name.
CREATE OR REPLACE FUNCTION @.dump_bounds(p_of integer, p_after bytea, p_limit bigint)
    RETURNS TABLE (name bytea, plan bytea, concurrency bigint, rate bigint, rate_ms bigint, quota bigint,
        quota_ms bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT b.name, b.plan, b.concurrency, b.rate, b.rate_ms, b.quota, b.quota_ms FROM @.bound AS b
    WHERE b.of = p_of AND (p_after IS NULL OR b.name > p_after) ORDER BY b.name LIMIT p_limit;
END $$;

-- Rows in order of arrival, after p_after. No index has this order, which no claim asks for: many at once.
CREATE OR REPLACE FUNCTION @.dump_order(p_after bigint, p_limit bigint) RETURNS TABLE (n bigint, id uuid) LANGUAGE sql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT x.n, x.id FROM (
        (SELECT j.n, j.id FROM @.job AS j WHERE j.n > p_after ORDER BY j.n LIMIT p_limit)
        UNION ALL
        SELECT m.n, m.id FROM @.members(NULL, 24, '00000000-0000-0000-0000-000000000000') AS m WHERE m.n > p_after) AS x
    ORDER BY x.n LIMIT p_limit
$$;

-- The rows with these ids that are still there, in this order, as long as payload, data and result fit into p_bytes (0:
-- all).
CREATE OR REPLACE FUNCTION @.dump_rows(p_ids uuid[], p_bytes bigint) RETURNS TABLE (n bigint, v @.view, scope bytea,
    digest bytea, hold integer, until bigint, callback bytea, flags integer, parents uuid[], rules integer[],
    opens integer[])
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT (z.j).n, @.show(z.j, 23, 0), (z.j).key_scope, (z.j).key_digest, (z.j).key_hold::integer, (z.j).key_until,
        (z.j).callback, (z.j).flags, e.parents, e.rules, e.opens
    FROM (
        SELECT x.id, x.i, CASE WHEN x.member THEN x.m ELSE k END AS j FROM (
            SELECT y.*, row_number() OVER w AS o, sum(y.size) OVER w AS used FROM (
                SELECT u.id, u.i, false AS member, NULL::@.job AS m,
                    k.payload_bytes + coalesce(octet_length(k.data), 0) + coalesce(octet_length(k.result), 0) AS size
                FROM unnest(p_ids) WITH ORDINALITY AS u(id, i) JOIN @.job AS k ON k.id = u.id
                UNION ALL
                SELECT m.id, array_position(p_ids, m.id), true, m, m.payload_bytes FROM @.members_of(p_ids) AS m
            ) AS y WINDOW w AS (ORDER BY y.i)
        ) AS x
        LEFT JOIN @.job AS k ON NOT x.member AND k.id = x.id
        WHERE p_bytes = 0 OR x.used <= p_bytes OR x.o = 1
    ) AS z
    CROSS JOIN LATERAL (
        SELECT array_agg(f.parent ORDER BY f.parent) AS parents, array_agg(f.rule ORDER BY f.parent) AS rules,
               array_agg(f.open::integer ORDER BY f.parent) AS opens
        FROM @.edge AS f WHERE f.child = z.id AND (z.j).flags & 64 <> 0
    ) AS e
    ORDER BY z.i;
END $$;

-- Keys that are held, by scope. What a rule does not hold any more is on its way out, and no part of a copy.
CREATE OR REPLACE FUNCTION @.dump_keys(p_after bytea, p_limit bigint)
    RETURNS TABLE (scope bytea, job uuid, hold integer, until bigint, digest bytea, ended integer)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE v_now bigint := @.clock();
BEGIN
    RETURN QUERY
    SELECT k.scope, k.job, k.hold::integer, k.until, k.digest, k.ended::integer
    FROM @.key AS k LEFT JOIN @.job AS j ON j.id = k.job AND j.key_scope = k.scope
    WHERE (p_after IS NULL OR k.scope > p_after) AND @.holds(k.hold, coalesce(j.state, k.ended), k.until, v_now)
    ORDER BY k.scope LIMIT p_limit;
END $$;

-- ---- in -------------------------------------------------------------------------------------------------------------
-- Each answers a verdict per item: 0 taken, 1 what was there is left as it is.

-- p_nums has 31 numbers for each: paused, depth (-1: none), whether it has keep values of its own, eight totals
-- (enqueued, completed, dead, cancelled, failed; completed, dead, cancelled that were trimmed), concurrency, group
-- concurrency, rate (-1: none) and its period, keep_count and keep_ms by state (0 to 7 each).
CREATE OR REPLACE FUNCTION @.load_queues(p_names bytea[], p_nums bigint[]) RETURNS integer[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_verdicts integer[] := array_fill(0, ARRAY[cardinality(p_names)]);
    v_queues integer[] := @.queues_of(p_names);
    q @.queue;
BEGIN
    PERFORM pg_advisory_xact_lock(@LOCK + 1);
    FOR i IN 1 .. cardinality(p_names) LOOP
        SELECT * INTO q FROM @.queue AS x WHERE x.id = v_queues[i] FOR UPDATE;
        IF q.known OR q.enqueued_total > 0 OR EXISTS (SELECT 1 FROM @.tally AS t WHERE t.queue = q.id) THEN
            v_verdicts[i] := 1;
            CONTINUE;
        END IF;
        DECLARE b integer := 31 * (i - 1);
        BEGIN
            UPDATE @.queue AS x SET known = true, paused = p_nums[b + 1] <> 0, depth = CASE WHEN p_nums[b + 2] >= 0
                THEN p_nums[b + 2] END, concurrency = CASE WHEN p_nums[b + 12] >= 0 THEN p_nums[b + 12] END,
                group_concurrency = CASE WHEN p_nums[b + 13] >= 0 THEN p_nums[b + 13] END,
                rate = CASE WHEN p_nums[b + 14] >= 0 THEN p_nums[b + 14] END,
                rate_ms = CASE WHEN p_nums[b + 14] >= 0 THEN p_nums[b + 15] END,
                keep_count = CASE WHEN p_nums[b + 3] <> 0 THEN p_nums[b + 16 : b + 23] END,
                keep_ms = CASE WHEN p_nums[b + 3] <> 0 THEN p_nums[b + 24 : b + 31] END,
                enqueued_total = p_nums[b + 4], completed_total = p_nums[b + 5], dead_total = p_nums[b + 6],
                cancelled_total = p_nums[b + 7], failed_total = p_nums[b + 8],
                completed_trimmed = p_nums[b + 9], dead_trimmed = p_nums[b + 10], cancelled_trimmed = p_nums[b + 11]
            WHERE x.id = q.id;
        END;
    END LOOP;
    RETURN v_verdicts;
END $$;

-- p_nums has 6 numbers for each: of, concurrency, rate and its period, quota and its period; -2: no value of its own.
CREATE OR REPLACE FUNCTION @.load_bounds(p_names bytea[], p_plans bytea[], p_nums bigint[]) RETURNS integer[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE v_verdicts integer[] := '{}'; b integer;
BEGIN
    FOR i IN 1 .. cardinality(p_names) LOOP
        b := 6 * (i - 1);
        IF EXISTS (SELECT 1 FROM @.bound AS x WHERE x.of = p_nums[b + 1] AND x.name = p_names[i]) THEN
            v_verdicts := v_verdicts || 1;
        ELSE
            PERFORM @.set_bound(p_nums[b + 1]::integer, p_names[i], p_nums[b + 2], p_nums[b + 3], p_nums[b + 4],
                p_nums[b + 5],
                                p_nums[b + 6], true, p_plans[i]);
            v_verdicts := v_verdicts || 0;
        END IF;
    END LOOP;
    RETURN v_verdicts;
END $$;

CREATE OR REPLACE FUNCTION @.load_schedules(p_names bytea[], p_bytes bytea[], p_nums bigint[]) RETURNS integer[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE v_verdicts integer[] := '{}';
BEGIN
    FOR i IN 1 .. cardinality(p_names) LOOP
        INSERT INTO @.schedule (name, bytes, version, fired_at, next_at, paused)
        VALUES (p_names[i], p_bytes[i], p_nums[4 * i - 3], p_nums[4 * i - 2], p_nums[4 * i - 1], p_nums[4 * i] <> 0)
        ON CONFLICT (name) DO NOTHING;
        v_verdicts := v_verdicts || CASE WHEN FOUND THEN 0 ELSE 1 END;
    END LOOP;
    PERFORM @.wake();
    RETURN v_verdicts;
END $$;

CREATE OR REPLACE FUNCTION @.load_keys(p_scopes bytea[], p_jobs uuid[], p_digests bytea[], p_nums bigint[])
RETURNS integer[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    v_now bigint := @.clock();
    v_verdicts integer[] := '{}';
    v_key @.key;
BEGIN
    FOR i IN 1 .. cardinality(p_scopes) LOOP
        v_key := @.key_held(p_scopes[i], v_now);
        v_verdicts := v_verdicts || CASE WHEN v_key.job IS NULL THEN 0 ELSE 1 END;
        CONTINUE WHEN v_key.job IS NOT NULL;
        INSERT INTO @.key (scope, job, hold, until, digest, ended, fades)
        VALUES (p_scopes[i], p_jobs[i], p_nums[3 * i - 2], p_nums[3 * i - 1], p_digests[i], p_nums[3 * i],
                CASE WHEN p_nums[3 * i - 2] = 3 AND p_nums[3 * i] <> 0 THEN p_nums[3 * i - 1] END)
        ON CONFLICT (scope) DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the key was taken meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
    END LOOP;
    RETURN v_verdicts;
END $$;

-- Rows were loaded: they are in these places of these queues (pairs), which counts as nothing that happened. By whoever
-- folds the tally, or while nobody does: both change these counts.
CREATE OR REPLACE FUNCTION @.load_count(p_counted integer[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(@LOCK + 1);
    UPDATE @.queue AS q SET known = true, blocked = q.blocked + x.blocked, due = q.due + x.due,
        later = q.later + x.later, running = q.running + x.running, completed = q.completed + x.completed,
        dead = q.dead + x.dead, cancelled = q.cancelled + x.cancelled
    FROM (
        SELECT p_counted[2 * i - 1] AS queue, count(*) FILTER (WHERE p_counted[2 * i] = 1) AS blocked,
            count(*) FILTER (WHERE p_counted[2 * i] = 2) AS due, count(*) FILTER (WHERE p_counted[2 * i] = 3) AS later,
            count(*) FILTER (WHERE p_counted[2 * i] = 4) AS running,
            count(*) FILTER (WHERE p_counted[2 * i] = 5) AS completed,
            count(*) FILTER (WHERE p_counted[2 * i] = 6) AS dead,
            count(*) FILTER (WHERE p_counted[2 * i] = 7) AS cancelled
        FROM generate_series(1, cardinality(p_counted) / 2) AS i GROUP BY 1
    ) AS x
    WHERE q.id = x.queue;
END $$;

-- p_nums has 32 numbers for each: state, reason, outcome, priority, rank_add, attempt, failures, crashes, snoozes,
-- releases, redrives, edits, flags, due, pending, created_at, run_at, started_at, finished_at, lease_until, stop_at,
-- expires_at, callback_until, timeout, key hold, key until, fence, the first of its entries and how many of them are
-- errors, the first of its edges and how many they are, and how many entries behind the errors are lines of log.
-- p_entry_nums: attempt, kind, at. p_edge_nums: rule, open. An edge may come before its parent, which counts it then.
CREATE OR REPLACE FUNCTION @.load_rows(p_ids uuid[], p_tokens uuid[], p_queues bytea[], p_kinds bytea[],
    p_tenants bytea[], p_workers bytea[], p_payloads bytea[], p_policies bytea[], p_keys bytea[], p_results bytea[],
    p_progress bytea[], p_data bytea[], p_traces bytea[], p_callbacks bytea[], p_scopes bytea[], p_digests bytea[],
    p_nums bigint[], p_entry_nums bigint[], p_entry_workers bytea[], p_entry_texts bytea[], p_parents uuid[],
    p_edge_nums bigint[])
RETURNS integer[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    v_verdicts integer[] := array_fill(0, ARRAY[cardinality(p_ids)]);
    v_queues integer[] := @.queues_of(p_queues);
    v_counted integer[] := '{}';
    v_open uuid[];
    v_fence bigint := 0;
    v_grouped boolean := false;
    j @.job;
    r record;
BEGIN
    PERFORM @.batch_leave(p_ids); -- what is there is met as a row
    FOR r IN
        SELECT x.*, v_queues[x.i] AS queue_id, p_nums[32 * x.i - 31 : 32 * x.i] AS m
        FROM unnest(p_ids, p_tokens, p_kinds, p_tenants, p_workers, p_payloads, p_policies, p_keys,
            p_results, p_progress,
                    p_data, p_traces, p_callbacks, p_scopes, p_digests) WITH ORDINALITY
            AS x(id, token, kind, tenant, worker, payload, policy, key, result, progress, data, trace, callback, scope,
                 digest, i)
        ORDER BY x.i
    LOOP
        j := NULL;
        j.state := r.m[1];
        j.reason := r.m[2];
        j.flags := r.m[13];
        j.run_at := r.m[17];
        j.shelf := CASE WHEN j.state <> 2 THEN NULL WHEN r.m[14] = 0 THEN 3
                        ELSE @.shelf_due(j.flags, r.tenant) END;
        j.finished_at := nullif(r.m[19], 0);
        j.lease_until := nullif(r.m[20], 0);
        j.expires_at := nullif(r.m[22], 0);
        j.callback_until := nullif(r.m[23], 0);
        j.children := (SELECT count(*) FROM @.edge AS e WHERE e.parent = r.id AND e.open);
        INSERT INTO @.job (id, state, queue, kind, flags, shelf, place, clock, reason, outcome, run_at,
            rank_add, priority, attempt, edits, pending, children, errors, failures, crashes, snoozes, releases,
            redrives, created_at, started_at, finished_at, lease_until, stop_at, expires_at, callback_until, timeout,
            token, worker, tenant, policy, key, trace, callback, key_scope, key_digest, key_hold, key_until, progress,
            payload, payload_bytes, result, data)
        VALUES (r.id, j.state, r.queue_id, r.kind, j.flags, j.shelf,
            CASE WHEN j.shelf = 3 THEN j.run_at WHEN j.shelf IS NOT NULL THEN @.add(j.run_at, r.m[5]) END, @.alarm(j),
            j.reason, r.m[3], j.run_at, r.m[5], r.m[4], r.m[6], r.m[12], r.m[15], j.children, r.m[29], r.m[7],
            r.m[8], r.m[9], r.m[10], r.m[11], r.m[16], nullif(r.m[18], 0), j.finished_at, j.lease_until,
            nullif(r.m[21], 0), j.expires_at, j.callback_until, nullif(r.m[24], 0),
            nullif(r.token, '00000000-0000-0000-0000-000000000000'), r.worker, r.tenant, r.policy, r.key, r.trace,
            r.callback, r.scope, r.digest, CASE WHEN r.scope IS NOT NULL THEN r.m[25] END,
            CASE WHEN r.scope IS NOT NULL THEN r.m[26] END, r.progress, r.payload,
            coalesce(octet_length(r.payload), 0), r.result, r.data)
        ON CONFLICT (id) DO NOTHING;
        IF NOT FOUND THEN
            v_verdicts[r.i] := 1;
            CONTINUE;
        END IF;
        v_grouped := v_grouped OR coalesce(r.tenant <> '', false);
        v_counted := v_counted || ARRAY[r.queue_id, @.place_of(j.state, j.shelf)];
        v_fence := greatest(v_fence, r.m[27]);
        IF j.state = 4 THEN -- it may have ended before the results that are gone
            UPDATE @.queue AS q SET results_at = 0 WHERE q.id = r.queue_id AND q.results_at <> 0;
        END IF;
        IF r.m[29] > 0 THEN
            INSERT INTO @.error (job, seq, attempt, kind, at, worker, text)
            SELECT r.id, k, p_entry_nums[3 * (r.m[28] + k) - 2], p_entry_nums[3 * (r.m[28] + k) - 1],
                p_entry_nums[3 * (r.m[28] + k)], p_entry_workers[r.m[28] + k], p_entry_texts[r.m[28] + k]
            FROM generate_series(1, r.m[29]) AS k;
        END IF;
        IF r.m[32] > 0 THEN
            INSERT INTO @.log (job, seq, attempt, at, worker, text)
            SELECT r.id, k - r.m[28] - r.m[29], p_entry_nums[3 * k - 2], p_entry_nums[3 * k], p_entry_workers[k],
                p_entry_texts[k]
            FROM generate_series(r.m[28] + r.m[29] + 1, r.m[28] + r.m[29] + r.m[32]) AS k;
        END IF;
        IF r.m[31] > 0 THEN
            INSERT INTO @.edge (child, parent, rule, hard, open)
            SELECT r.id, p_parents[r.m[30] + k], p_edge_nums[2 * (r.m[30] + k) - 1],
                p_edge_nums[2 * (r.m[30] + k) - 1] <> 2, p_edge_nums[2 * (r.m[30] + k)] <> 0
            FROM generate_series(1, r.m[31]) AS k;
            v_open := ARRAY(SELECT e.parent FROM @.edge AS e WHERE e.child = r.id AND e.open);
            PERFORM @.children(v_open, 1);
        END IF;
    END LOOP;
    IF @.batch_has(p_ids) THEN
        RAISE EXCEPTION 'an id was taken meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
    PERFORM nextval('@.jump');
    PERFORM @.load_count(v_counted);
    IF v_grouped THEN
        UPDATE @.queue AS q SET grouped = true WHERE q.id = ANY (v_queues) AND NOT q.grouped;
    END IF;
    -- The step ahead is for claims that draw one between the look and the lift.
    PERFORM setval('@.fence', least(v_fence + 100000, 9007199254740991)) FROM @.fence AS f
        WHERE f.last_value <= v_fence;
    PERFORM @.wake();
    RETURN v_verdicts;
END $$;
