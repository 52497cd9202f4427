-- SPDX-License-Identifier: MIT
-- Schedules: rows that are looked at by time and compared by tick. What their bytes mean is not known here. They go by
-- the store's clock, which is one for people too.

-- The tick of a put is done: fired goes on, but not when it is only put off (mode 2).
CREATE OR REPLACE FUNCTION @.tick_settle(p_name bytea, p_nominal bigint, p_next bigint, p_mode bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE @.schedule AS s SET fired_at = CASE WHEN p_mode = 2 THEN s.fired_at ELSE p_nominal END, next_at = p_next
    WHERE s.name = p_name;
END $$;

-- May it go on? A verdict. The row stays locked: of many who settle the same instant one does.
CREATE OR REPLACE FUNCTION @.tick_guard(p_name bytea, p_version bigint, p_nominal bigint) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE s @.schedule;
BEGIN
    SELECT * INTO s FROM @.schedule AS x WHERE x.name = p_name FOR UPDATE;
    RETURN CASE WHEN s.name IS NULL OR s.version <> p_version OR s.paused THEN -4
                WHEN p_nominal <= s.fired_at THEN 1 ELSE 0 END;
END $$;

-- What an overdue want gives besides: those whose time has come, by the index of those that are not paused. {version,
-- fired, next, paused} of each.
CREATE OR REPLACE FUNCTION @.ticks_due(p_now bigint, OUT o_names bytea[], OUT o_bytes bytea[], OUT o_nums bigint[])
LANGUAGE plpgsql AS $$
BEGIN
    SELECT array_agg(x.name), array_agg(x.bytes), array_agg(ARRAY[x.version, x.fired_at, x.next_at, 0])
    INTO o_names, o_bytes, o_nums FROM (
        SELECT s.name, s.bytes, s.version, s.fired_at, s.next_at FROM @.schedule AS s
        WHERE NOT s.paused AND s.next_at <= p_now ORDER BY s.next_at, s.name LIMIT 16) AS x;
    o_nums := ARRAY(SELECT u FROM unnest(o_nums) AS u);
END $$;

-- The one named, or a page of them: names after p_after.
CREATE OR REPLACE FUNCTION @.schedules(p_name bytea, p_after bytea, p_limit bigint, p_most bigint, OUT o_now bigint,
    OUT o_names bytea[], OUT o_bytes bytea[], OUT o_nums bigint[])
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
    SET jit = off AS $$
BEGIN
    o_now := @.clock();
    SELECT array_agg(y.name ORDER BY y.i), array_agg(y.bytes ORDER BY y.i),
           array_agg(ARRAY[y.version, y.fired_at, y.next_at, y.paused::integer] ORDER BY y.i)
    INTO o_names, o_bytes, o_nums FROM (
        SELECT x.*, row_number() OVER w AS i, sum(octet_length(x.bytes)) OVER w AS used FROM (
            SELECT s.* FROM @.schedule AS s WHERE (p_name IS NULL OR s.name = p_name)
                AND (p_after IS NULL OR s.name > p_after)
            ORDER BY s.name LIMIT p_limit) AS x
        WINDOW w AS (ORDER BY x.name)) AS y
    WHERE p_most = 0 OR y.used <= p_most OR y.i = 1;
    o_nums := ARRAY(SELECT u FROM unnest(o_nums) AS u);
END $$;

-- What is NULL stays as it is. p_defines: p_bytes is the new definition, NULL removes it. p_version: below 0 any.
-- Returns 1, 0 when there is none, -1 when it has another version.
CREATE OR REPLACE FUNCTION @.set_schedule(p_name bytea, p_version bigint, p_defines boolean, p_bytes bytea,
    p_paused boolean, p_next bigint, p_fired bigint) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE s @.schedule;
BEGIN
    SELECT * INTO s FROM @.schedule AS x WHERE x.name = p_name FOR UPDATE;
    IF p_version >= 0 AND p_version <> coalesce(s.version, 0) THEN
        RETURN -1;
    ELSIF s.name IS NULL AND (NOT p_defines OR p_bytes IS NULL) THEN
        RETURN 0;
    ELSIF p_defines AND p_bytes IS NULL THEN
        DELETE FROM @.schedule AS x WHERE x.name = p_name;
        RETURN 1;
    END IF;
    IF s.name IS NULL THEN
        INSERT INTO @.schedule (name, bytes) VALUES (p_name, p_bytes) ON CONFLICT (name) DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the schedule was made meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    UPDATE @.schedule AS x SET version = x.version + CASE WHEN p_defines THEN 1 ELSE 0 END,
        bytes = CASE WHEN p_defines THEN p_bytes ELSE x.bytes END, paused = coalesce(p_paused, x.paused),
        next_at = coalesce(p_next, x.next_at), fired_at = greatest(x.fired_at, p_fired)
    WHERE x.name = p_name;
    PERFORM @.wake();
    RETURN 1;
END $$;
