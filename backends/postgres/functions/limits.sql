-- SPDX-License-Identifier: MIT
-- Limits: what holds for a group, how much of it is used, and who may look. Nobody is in the way of anybody where
-- nothing is limited: a claim locks the gauges of what has a limit and counts in its next statement, because a
-- statement sees what was there when it began, and not what the one before it in the queue for the lock has done.

-- ---- what holds -----------------------------------------------------------------------------------------------------

-- Member by member: its own, else that of its plan, else that of every group. NULL: no limit.
CREATE OR REPLACE FUNCTION @.bounds_of(p_tenant bytea, OUT concurrency bigint, OUT rate bigint, OUT rate_ms bigint,
    OUT quota bigint, OUT quota_ms bigint) LANGUAGE plpgsql AS $$
DECLARE own @.bound; plan @.bound; every @.bound;
BEGIN
    SELECT * INTO own FROM @.bound AS b WHERE b.of = 2 AND b.name = p_tenant;
    IF own.plan IS NOT NULL THEN
        SELECT * INTO plan FROM @.bound AS b WHERE b.of = 3 AND b.name = own.plan;
    END IF;
    SELECT * INTO every FROM @.bound AS b WHERE b.of = 2 AND b.name = '';
    concurrency := nullif(coalesce(own.concurrency, plan.concurrency, every.concurrency), -1);
    rate := nullif(coalesce(own.rate, plan.rate, every.rate), -1);
    rate_ms := CASE WHEN own.rate IS NOT NULL THEN own.rate_ms WHEN plan.rate IS NOT NULL THEN plan.rate_ms
        ELSE every.rate_ms END;
    quota := nullif(coalesce(own.quota, plan.quota, every.quota), -1);
    quota_ms := CASE WHEN own.quota IS NOT NULL THEN own.quota_ms WHEN plan.quota IS NOT NULL THEN plan.quota_ms
                     ELSE every.quota_ms END;
END $$;

-- ---- n per period: struct jobq_gauge --------------------------------------------------------------------------------
-- {length of a tenth, number of the newest, 11 counts by number modulo 11}; NULL: nothing was counted yet.

CREATE OR REPLACE FUNCTION @.tenth_of(period bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN period > 10 THEN period / 10 + CASE WHEN period % 10 <> 0 THEN 1 ELSE 0 END ELSE 1 END
$$;

CREATE OR REPLACE FUNCTION @.gauge_count(held bigint[], number bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN number < 0 OR number > held[2] OR number <= held[2] - 11 THEN 0 ELSE held[3 + number % 11] END
$$;

-- A gauge from ahead of the clock counts as it is.
CREATE OR REPLACE FUNCTION @.gauge_used(held bigint[], now bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN held IS NULL THEN 0
        ELSE (SELECT sum(@.gauge_count(held, greatest(held[2], now / held[1]) - i))
            FROM generate_series(0, 10) AS i) END::bigint
$$;

-- As it is for this period at this moment. What was kept for another period counts as of now.
CREATE OR REPLACE FUNCTION @.gauge_turn(held bigint[], period bigint, now bigint) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_tenth bigint := @.tenth_of(period);
    v_last bigint := now / v_tenth;
    v_turned bigint[];
BEGIN
    IF held[1] = v_tenth THEN
        v_last := greatest(v_last, held[2]);
        -- A loop counts in 32 bits, which the number of a tenth of a second is beyond.
        FOR i IN 1 .. least(v_last - held[2], 11) LOOP
            held[3 + (held[2] + i) % 11] := 0;
        END LOOP;
        held[2] := v_last;
        RETURN held;
    END IF;
    v_turned := ARRAY[v_tenth, v_last] || array_fill(0::bigint, ARRAY[11]);
    v_turned[3 + v_last % 11] := @.gauge_used(held, now);
    RETURN v_turned;
END $$;

CREATE OR REPLACE FUNCTION @.gauge_add(held bigint[], period bigint, now bigint, count bigint) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    held := @.gauge_turn(held, period, now);
    held[3 + held[2] % 11] := held[3 + held[2] % 11] + count;
    RETURN held;
END $$;

-- ms until one more than n may pass if nothing is added.
CREATE OR REPLACE FUNCTION @.gauge_wait(held bigint[], n bigint, period bigint, now bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_held bigint[] := @.gauge_turn(held, period, now);
    v_left bigint := @.gauge_used(v_held, now);
BEGIN
    IF v_left < n THEN
        RETURN 0;
    ELSIF n <= 0 THEN
        RETURN period;
    END IF;
    FOR i IN 1 .. 11 LOOP
        v_left := v_left - @.gauge_count(v_held, v_held[2] - 11 + i);
        IF v_left < n THEN
            RETURN @.add((v_held[2] + i) * v_held[1], -now);
        END IF;
    END LOOP;
    RETURN period;
END $$;

-- ---- set while others claim -----------------------------------------------------------------------------------------
-- Claims hold this lock together (functions/want.sql), who sets a limit holds it alone: whoever claims has seen the
-- limit, or is counted by those who have. It is the first that either takes, and nothing is waited for under it.

CREATE OR REPLACE FUNCTION @.limits_change() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(@LOCK + 5);
END $$;

-- ---- who may look ---------------------------------------------------------------------------------------------------

-- Claims make gauges that are not there one at a time: two that make some, each in an order of its own, would wait for
-- each other. False: another is at it, and theirs count as another's.
CREATE OR REPLACE FUNCTION @.gauges_make() RETURNS boolean LANGUAGE sql AS $$
    SELECT pg_try_advisory_xact_lock(@LOCK + 6)
$$;

-- The gauge of a group is ours, or another's: then false. What has no row yet gets one.
CREATE OR REPLACE FUNCTION @.gate(p_of integer, p_name bytea) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM @.gauge AS g WHERE g.of = p_of AND g.name = p_name FOR UPDATE SKIP LOCKED;
    IF NOT FOUND AND NOT EXISTS (SELECT 1 FROM @.gauge AS g WHERE g.of = p_of AND g.name = p_name)
        AND @.gauges_make() THEN
        INSERT INTO @.gauge (of, name) VALUES (p_of, p_name) ON CONFLICT (of, name) DO NOTHING;
    END IF;
    RETURN FOUND;
END $$;

-- How many more of a queue may start, NULL for any number, and in how many ms if it is its rate that says none. Whoever
-- asks has the gate. Running rows are counted by the tally, which is exact for what was committed.
CREATE OR REPLACE FUNCTION @.queue_room(p_now bigint, q @.queue, OUT o_room bigint, OUT o_wait bigint)
    LANGUAGE plpgsql AS $$
DECLARE v_held bigint[]; v_left bigint;
BEGIN
    IF q.concurrency IS NOT NULL THEN
        o_room := greatest(q.concurrency - @.present(q.id, 4), 0);
    END IF;
    IF q.rate IS NOT NULL AND o_room IS DISTINCT FROM 0 THEN
        v_held := (SELECT g.held FROM @.gauge AS g WHERE g.of = 1 AND g.name = q.name);
        v_left := q.rate - @.gauge_used(v_held, p_now);
        IF v_left <= 0 THEN
            o_wait := @.gauge_wait(v_held, q.rate, q.rate_ms, p_now);
        END IF;
        o_room := least(o_room, greatest(v_left, 0));
    END IF;
END $$;

-- How many members of batches run of each of these groups, in this queue and in all, those of p_mine included: of
-- members that are out of [job] and not in a batch yet, one group each. STABLE: as of the statement that asks, which
-- counts the rows. By hash, since neither list has an order.
CREATE OR REPLACE FUNCTION @.lanes_members(p_groups bytea[], p_queue integer, p_mine bytea[], OUT o_here bigint[],
    OUT o_everywhere bigint[]) LANGUAGE plpgsql STABLE SET enable_hashjoin = on AS $$
BEGIN
    SELECT array_agg(coalesce(c.here, 0) ORDER BY u.i), array_agg(coalesce(c.everywhere, 0) ORDER BY u.i)
    INTO o_here, o_everywhere
    FROM unnest(p_groups) WITH ORDINALITY AS u(name, i) LEFT JOIN (
        SELECT x.tenant, count(*) AS everywhere, count(*) FILTER (WHERE x.queue = p_queue) AS here FROM (
            SELECT b.queue, m.tenant FROM @.batch AS b CROSS JOIN LATERAL unnest(b.fates, b.tenants) AS m(fate, tenant)
            WHERE b.lease_until IS NOT NULL AND b.tenants IS NOT NULL AND m.fate = 0
            UNION ALL SELECT p_queue, t.tenant FROM unnest(p_mine) AS t(tenant)) AS x
        GROUP BY x.tenant) AS c ON c.tenant = u.name;
END $$;

-- How many more rows of these groups may start, NULL for any number; o_periods: of those that have a rate, whose starts
-- are to be counted; o_wait: in so many ms a rate allows a start that it held back. Their gauges are ours from then on;
-- o_busy: not all of them, and none of those may start. As many rows of the index of running ones are read as a limit
-- has: where a group has one of its own, what runs in this queue is among them, or it has used that up. p_mine: as in
-- lanes_members.
CREATE OR REPLACE FUNCTION @.lanes_look(p_now bigint, p_queue integer, p_groups bytea[], p_here bigint,
    p_mine bytea[], OUT o_rooms bigint[], OUT o_periods bigint[], OUT o_busy boolean, OUT o_wait bigint)
    LANGUAGE plpgsql AS $$
DECLARE every @.bound; v_mosts bigint[]; v_rates bigint[]; v_limited bytea[]; v_mine bytea[]; v_made bytea[];
BEGIN
    o_busy := false;
    SELECT * INTO every FROM @.bound AS b WHERE b.of = 2 AND b.name = '';
    SELECT array_agg(x.most), array_agg(x.rate), array_agg(x.period),
        array_agg(x.name) FILTER (WHERE x.most IS NOT NULL OR x.rate IS NOT NULL OR p_here IS NOT NULL)
    INTO v_mosts, v_rates, o_periods, v_limited
    FROM (
        SELECT u.name, nullif(coalesce(own.concurrency, plan.concurrency, every.concurrency), -1) AS most,
            nullif(coalesce(own.rate, plan.rate, every.rate), -1) AS rate,
            CASE WHEN coalesce(own.rate, plan.rate, every.rate) = -1 THEN NULL WHEN own.rate IS NOT NULL
                THEN own.rate_ms WHEN plan.rate IS NOT NULL THEN plan.rate_ms ELSE every.rate_ms END AS period
        FROM unnest(p_groups) AS u(name) LEFT JOIN @.bound AS own ON own.of = 2 AND own.name = u.name
        LEFT JOIN @.bound AS plan ON plan.of = 3 AND plan.name = own.plan) AS x;
    IF v_limited IS NULL THEN
        o_rooms := array_fill(NULL::bigint, ARRAY[cardinality(p_groups)]);
        RETURN;
    END IF;
    v_mine := ARRAY(SELECT g.name FROM unnest(v_limited) AS u(name) JOIN @.gauge AS g ON g.of = 2 AND g.name = u.name
                    FOR UPDATE OF g SKIP LOCKED);
    IF cardinality(v_mine) < cardinality(v_limited) THEN
        v_made := ARRAY(SELECT u.name FROM unnest(v_limited) AS u(name)
                        WHERE NOT EXISTS (SELECT 1 FROM @.gauge AS g WHERE g.of = 2 AND g.name = u.name));
        IF v_made <> '{}' AND @.gauges_make() THEN
            WITH made AS (
                INSERT INTO @.gauge (of, name) SELECT 2, u.name FROM unnest(v_made) AS u(name)
                ON CONFLICT (of, name) DO NOTHING RETURNING name
            )
            SELECT array_agg(m.name) INTO v_made FROM made AS m;
            v_mine := v_mine || v_made;
        END IF;
        o_busy := cardinality(v_mine) < cardinality(v_limited);
    END IF;
    o_rooms := ARRAY(
        SELECT CASE WHEN u.most IS NULL AND u.rate IS NULL AND p_here IS NULL THEN NULL
                    WHEN o_busy AND u.name <> ALL (v_mine) THEN 0
                    WHEN u.most IS NOT NULL OR p_here IS NOT NULL
                        THEN greatest(least(u.most - r.everywhere - m.o_everywhere[u.i],
                                            p_here - r.here - m.o_here[u.i]), 0) END
        FROM unnest(p_groups, v_mosts, v_rates) WITH ORDINALITY AS u(name, most, rate, i)
        CROSS JOIN @.lanes_members(p_groups, p_queue, p_mine) AS m CROSS JOIN LATERAL (
            SELECT count(*) AS everywhere, count(*) FILTER (WHERE x.queue = p_queue) AS here FROM (
                SELECT j.queue FROM @.job AS j
                WHERE j.state = 3 AND j.tenant = u.name AND (u.most IS NOT NULL OR j.queue = p_queue)
                LIMIT coalesce(u.most, p_here, 0)) AS x) AS r);
    IF array_remove(v_rates, NULL) <> '{}' THEN
        SELECT array_agg(CASE WHEN x.rate IS NULL OR x.room = 0 THEN x.room
                              ELSE least(x.room, greatest(x.rate - x.used, 0)) END),
            min(@.gauge_wait(x.held, x.rate, x.period, p_now)) FILTER (WHERE x.room IS DISTINCT FROM 0
                AND x.rate <= x.used)
        INTO o_rooms, o_wait
        FROM (
            SELECT u.room, u.rate, u.period, g.held, @.gauge_used(g.held, p_now) AS used
            FROM unnest(p_groups, o_rooms, v_rates, o_periods) AS u(name, room, rate, period)
            LEFT JOIN @.gauge AS g ON g.of = 2 AND g.name = u.name AND u.rate IS NOT NULL) AS x;
    END IF;
END $$;

-- Is there anything that limits what groups start?
CREATE OR REPLACE FUNCTION @.groups_limited() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM @.bound AS b WHERE b.concurrency >= 0 OR b.rate >= 0);
END $$;

-- So many starts, where there is a rate; without a period there is none.
CREATE OR REPLACE FUNCTION @.count_starts(p_of integer, p_names bytea[], p_periods bigint[], p_now bigint,
    p_counts bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE @.gauge AS g SET held = @.gauge_add(g.held, u.period, p_now, u.count)
    FROM unnest(p_names, p_periods, p_counts) AS u(name, period, count)
    WHERE u.period IS NOT NULL AND u.count > 0 AND g.of = p_of AND g.name = u.name;
END $$;

-- Rows of these queues do not run any more: does that let others start?
CREATE OR REPLACE FUNCTION @.frees_slots(p_queues integer[], p_tenants boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM @.queue AS q WHERE q.id = ANY (p_queues)
                   AND (q.concurrency IS NOT NULL OR p_tenants AND q.group_concurrency IS NOT NULL))
        OR p_tenants AND EXISTS (SELECT 1 FROM @.bound AS b WHERE b.concurrency >= 0);
END $$;

-- Of these groups those that have a quota, with their gauges of puts, 13 numbers each, which are ours until the end;
-- NULL when none has. Locked in the order of names, read in the next statement.
CREATE OR REPLACE FUNCTION @.quotas_lock(p_now bigint, p_tenants bytea[], OUT o_names bytea[], OUT o_quotas bigint[],
    OUT o_periods bigint[], OUT o_helds bigint[]) LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM @.bound AS b WHERE b.quota >= 0) THEN
        RETURN;
    END IF;
    SELECT array_agg(u.name ORDER BY u.name), array_agg(h.quota ORDER BY u.name), array_agg(h.quota_ms ORDER BY u.name)
    INTO o_names, o_quotas, o_periods
    FROM (SELECT DISTINCT t.name FROM unnest(p_tenants) AS t(name) WHERE t.name <> '') AS u
    CROSS JOIN LATERAL @.bounds_of(u.name) AS h WHERE h.quota IS NOT NULL;
    IF o_names IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO @.gauge (of, name) SELECT 3, u.name FROM unnest(o_names) AS u(name)
    WHERE NOT EXISTS (SELECT 1 FROM @.gauge AS g WHERE g.of = 3 AND g.name = u.name) ORDER BY u.name
    ON CONFLICT (of, name) DO NOTHING;
    PERFORM 1 FROM @.gauge AS g WHERE g.of = 3 AND g.name = ANY (o_names) ORDER BY g.name FOR UPDATE;
    o_helds := ARRAY(
        SELECT n.value FROM unnest(o_names, o_periods) WITH ORDINALITY AS u(name, period, i)
        JOIN @.gauge AS g ON g.of = 3 AND g.name = u.name
        CROSS JOIN LATERAL unnest(@.gauge_turn(g.held, u.period, p_now)) WITH ORDINALITY AS n(value, k)
        ORDER BY u.i, n.k);
END $$;

-- p_counted: in which something was counted; the others stay as they were, whatever period they were looked at with.
CREATE OR REPLACE FUNCTION @.quotas_keep(p_names bytea[], p_helds bigint[], p_counted bytea[]) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE @.gauge AS g SET held = p_helds[13 * u.i::integer - 12 : 13 * u.i::integer]
    FROM unnest(p_names) WITH ORDINALITY AS u(name, i)
    WHERE g.of = 3 AND g.name = u.name AND u.name = ANY (p_counted)
        AND g.held IS DISTINCT FROM p_helds[13 * u.i::integer - 12 : 13 * u.i::integer];
END $$;

-- ---- settings -------------------------------------------------------------------------------------------------------

-- What a group (p_of 2, no bytes: every group) or a plan (3) has. What is NULL stays as it is; -2: no value of its own.
CREATE OR REPLACE FUNCTION @.set_bound(p_of integer, p_name bytea, p_concurrency bigint, p_rate bigint,
    p_rate_ms bigint, p_quota bigint, p_quota_ms bigint, p_plan_set boolean, p_plan bytea) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM @.limits_change();
    INSERT INTO @.bound (of, name) VALUES (p_of, p_name) ON CONFLICT (of, name) DO NOTHING;
    UPDATE @.bound AS b SET
        concurrency = CASE WHEN p_concurrency IS NULL THEN b.concurrency WHEN p_concurrency >= -1
            THEN p_concurrency END,
        rate = CASE WHEN p_rate IS NULL THEN b.rate WHEN p_rate >= -1 THEN p_rate END,
        rate_ms = CASE WHEN p_rate IS NULL THEN b.rate_ms WHEN p_rate >= 0 THEN p_rate_ms END,
        quota = CASE WHEN p_quota IS NULL THEN b.quota WHEN p_quota >= -1 THEN p_quota END,
        quota_ms = CASE WHEN p_quota IS NULL THEN b.quota_ms WHEN p_quota >= 0 THEN p_quota_ms END,
        plan = CASE WHEN p_plan_set THEN nullif(p_plan, '') ELSE b.plan END
    WHERE b.of = p_of AND b.name = p_name;
    DELETE FROM @.bound AS b WHERE b.of = p_of AND b.name = p_name AND b.concurrency IS NULL AND b.rate IS NULL
        AND b.quota IS NULL AND b.plan IS NULL;
    PERFORM @.wake();
    RETURN 1;
END $$;

-- ---- reading --------------------------------------------------------------------------------------------------------

-- The queue, group or plan named, stored or not, or a page of those that have a value. What is counted comes as it is
-- kept, with the limit that holds for it.
CREATE OR REPLACE FUNCTION @.limits_queues(p_name bytea, p_after bytea, p_limit bigint)
    RETURNS TABLE (now bigint, name bytea, depth bigint, concurrency bigint, group_concurrency bigint, rate bigint,
        rate_ms bigint, running bigint, starts bigint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE v_now bigint := @.clock();
BEGIN
    RETURN QUERY
    SELECT v_now, q.name, q.depth, q.concurrency, q.group_concurrency, q.rate, q.rate_ms, @.present(q.id, 4), g.held
    FROM @.queue AS q LEFT JOIN @.gauge AS g ON g.of = 1 AND g.name = q.name
    WHERE CASE WHEN p_name IS NOT NULL THEN q.name = p_name
               ELSE (p_after IS NULL OR q.name > p_after)
                   AND (q.depth IS NOT NULL OR q.concurrency IS NOT NULL OR q.group_concurrency IS NOT NULL
                       OR q.rate IS NOT NULL) END
    ORDER BY q.name LIMIT p_limit;
    IF p_name IS NOT NULL AND NOT FOUND THEN
        RETURN QUERY SELECT v_now, p_name, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
            NULL::bigint, 0::bigint, NULL::bigint[];
    END IF;
    IF p_name IS NULL AND NOT FOUND THEN
        RETURN QUERY SELECT v_now, NULL::bytea, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
            NULL::bigint, 0::bigint, NULL::bigint[];
    END IF;
END $$;

CREATE OR REPLACE FUNCTION @.limits_bounds(p_of integer, p_name bytea, p_after bytea, p_limit bigint)
    RETURNS TABLE (now bigint, name bytea, plan bytea, concurrency bigint, rate bigint, rate_ms bigint, quota bigint,
        quota_ms bigint, running bigint,
    holds_rate bigint, holds_rate_ms bigint, holds_quota bigint, holds_quota_ms bigint, starts bigint[], puts bigint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
    SET jit = off AS $$
#variable_conflict use_column
DECLARE v_now bigint := @.clock();
BEGIN
    RETURN QUERY
    SELECT v_now, x.name, x.plan, x.concurrency, x.rate, x.rate_ms, x.quota, x.quota_ms,
        (SELECT count(*) FROM @.job AS j WHERE p_of = 2 AND j.state = 3 AND j.tenant = x.name) + coalesce(m.rows, 0),
        h.rate, h.rate_ms, h.quota, h.quota_ms, s.held, p.held
    FROM (
        SELECT b.name, b.plan, b.concurrency, b.rate, b.rate_ms, b.quota, b.quota_ms FROM @.bound AS b
        WHERE b.of = p_of AND CASE WHEN p_name IS NOT NULL THEN b.name = p_name ELSE p_after IS NULL
            OR b.name > p_after END
        UNION ALL
        SELECT p_name, NULL, NULL, NULL, NULL, NULL, NULL
        WHERE p_name IS NOT NULL AND NOT EXISTS (SELECT 1 FROM @.bound AS b WHERE b.of = p_of AND b.name = p_name)
        ORDER BY 1 LIMIT p_limit
    ) AS x
    CROSS JOIN LATERAL @.bounds_of(CASE WHEN p_of = 2 THEN x.name END) AS h
    LEFT JOIN (
        SELECT n.tenant, count(*) AS rows
        FROM @.batch AS b CROSS JOIN LATERAL unnest(b.fates, b.tenants) AS n(fate, tenant)
        WHERE p_of = 2 AND b.lease_until IS NOT NULL AND b.tenants IS NOT NULL AND n.fate = 0
        GROUP BY n.tenant) AS m ON m.tenant = x.name
    LEFT JOIN @.gauge AS s ON p_of = 2 AND s.of = 2 AND s.name = x.name
    LEFT JOIN @.gauge AS p ON p_of = 2 AND p.of = 3 AND p.name = x.name
    ORDER BY x.name;
    IF NOT FOUND THEN
        RETURN QUERY SELECT v_now, NULL::bytea, NULL::bytea, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
            NULL::bigint, 0::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint[],
            NULL::bigint[];
    END IF;
END $$;
