-- SPDX-License-Identifier: MIT
-- What happened, in order and without a gap, while somebody wants it kept. A unit writes what it did to [happened] and
-- waits for nobody; cursors are given later, under a lock, to what is committed. A step that builds on another's draws
-- its number behind that one's commit, so in the order of these numbers no row comes before what it follows from; and
-- what was given a cursor is committed as a whole before the next one is given, so a reader sees no cursor without all
-- smaller ones.

-- Are they kept? @.clock() noted it for the transaction.
CREATE OR REPLACE FUNCTION @.told() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT current_setting('jobq.events', true) = '@NAME'
$$;

-- These came into the state that they are in, in this order.
CREATE OR REPLACE FUNCTION @.tell(p_now bigint, p_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO @.happened (at, id, queue, kind, worker, state, reason, attempt, run_at)
    SELECT p_now, j.id, j.queue, j.kind, CASE WHEN j.state = 3 THEN j.worker END, j.state, j.reason, j.attempt, j.run_at
    FROM unnest(p_ids) WITH ORDINALITY AS u(id, i) JOIN @.job AS j ON j.id = u.id ORDER BY u.i;
END $$;

-- The newest cursor that was given; STABLE, so that it is seen as of the same moment as the events beside it.
CREATE OR REPLACE FUNCTION @.events_newest() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT e.cursor FROM @.event AS e ORDER BY e.cursor DESC LIMIT 1),
                    (SELECT m.event FROM @.meta AS m WHERE m.one = 1))
$$;

-- Cursors for up to p_most, and the oldest go that are too many. Whoever calls holds the lock. Returns how many there
-- were.
CREATE OR REPLACE FUNCTION @.events_number(p_most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_keep bigint := (SELECT m.events FROM @.meta AS m WHERE m.one = 1);
    v_newest bigint := @.events_newest();
    v_count bigint;
BEGIN
    WITH taken AS (
        DELETE FROM @.happened AS h USING (
            SELECT x.seq FROM @.happened AS x ORDER BY x.seq LIMIT p_most) AS old
        WHERE h.seq = old.seq RETURNING h.*
    ), given AS (
        INSERT INTO @.event (cursor, at, id, queue, kind, worker, state, reason, attempt, run_at)
        SELECT v_newest + row_number() OVER (ORDER BY t.seq), t.at, t.id, t.queue, t.kind, t.worker, t.state, t.reason,
            t.attempt, t.run_at
        FROM taken AS t WHERE v_keep > 0 -- else they were on their way when it was switched off
    )
    SELECT count(*) INTO v_count FROM taken;
    -- From where the last one stopped: what went before is in nobody's way.
    DELETE FROM @.event AS e WHERE e.cursor > v_newest - v_keep AND e.cursor <= v_newest + v_count - v_keep;
    RETURN v_count;
END $$;

-- Now and then by exchanges, if nobody else does it: so that what nobody reads does not pile up.
CREATE OR REPLACE FUNCTION @.events_fold() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(@LOCK + 4) THEN
        PERFORM @.events_number(10000);
    END IF;
END $$;

-- A page of them. p_number: what has no cursor yet is given one first. {cursor, at, state, reason, attempt, run_at} of
-- each.
CREATE OR REPLACE FUNCTION @.events(p_after bigint, p_limit bigint, p_number boolean, OUT o_oldest bigint,
    OUT o_newest bigint, OUT o_ids uuid[], OUT o_queues bytea[], OUT o_kinds bytea[], OUT o_workers bytea[],
    OUT o_nums bigint[])
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    IF p_number AND EXISTS (SELECT 1 FROM @.happened) THEN
        PERFORM pg_advisory_xact_lock(@LOCK + 4);
        FOR i IN 1 .. 20 LOOP
            EXIT WHEN @.events_number(10000) < 10000;
        END LOOP;
    END IF;
    SELECT @.events_newest(), (SELECT e.cursor FROM @.event AS e ORDER BY e.cursor LIMIT 1),
        array_agg(x.id ORDER BY x.cursor), array_agg(x.name ORDER BY x.cursor), array_agg(x.kind ORDER BY x.cursor),
        array_agg(x.worker ORDER BY x.cursor),
        array_agg(ARRAY[x.cursor, x.at, x.state, x.reason, x.attempt, x.run_at] ORDER BY x.cursor)
    INTO o_newest, o_oldest, o_ids, o_queues, o_kinds, o_workers, o_nums
    FROM (SELECT e.*, (SELECT q.name FROM @.queue AS q WHERE q.id = e.queue) AS name
          FROM @.event AS e WHERE e.cursor > p_after ORDER BY e.cursor LIMIT p_limit) AS x;
    o_oldest := coalesce(o_oldest, o_newest + 1);
    o_nums := ARRAY(SELECT u FROM unnest(o_nums) AS u);
END $$;

-- Keep the newest so many. What happened until now was kept as it was said before. No batch is made from then on, and
-- members leave: only what happens to rows is told.
CREATE OR REPLACE FUNCTION @.set_events(p_keep bigint) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE v_keep bigint := greatest(p_keep, 0); v_newest bigint;
BEGIN
    IF v_keep > 0 THEN
        PERFORM @.limits_change();
        PERFORM @.batches_leave();
    END IF;
    PERFORM pg_advisory_xact_lock(@LOCK + 4);
    WHILE @.events_number(100000) = 100000 LOOP
    END LOOP;
    v_newest := @.events_newest();
    UPDATE @.meta AS m SET events = v_keep, event = v_newest;
    DELETE FROM @.event AS e WHERE e.cursor <= v_newest - v_keep;
    RETURN 1;
END $$;
