-- SPDX-License-Identifier: MIT
-- Results that go before their rows, of the queues that rows completed in, from where it came to before on (from the
-- first when the clock says that it cannot have come so far). Whoever completes a row may commit late, so the place is
-- never nearer than 10 s; it stays where it is when somebody else has one of the rows. p_left: rows to look at; else as
-- trim.
CREATE OR REPLACE FUNCTION @.trim_results(p_now bigint, p_ended integer[], p_nums bigint[], p_from bigint[],
    p_left bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_left bigint := p_left;
    v_first bigint; v_looked bigint; v_at bigint; v_id uuid; v_rows tid[]; v_mine tid[];
    r record;
BEGIN
    FOR r IN
        SELECT q.id, coalesce(q.keep_ms[1], p_nums[10]) AS ms, q.results_at, q.results_id
        FROM (SELECT DISTINCT p_ended[2 * i - 1] AS queue
              FROM generate_series(1, cardinality(p_ended) / 2) AS i WHERE p_ended[2 * i] = 4) AS x
        JOIN @.queue AS q ON q.id = x.queue
        WHERE coalesce(q.keep_ms[1], p_nums[10]) > 0 ORDER BY q.name
    LOOP
        EXIT WHEN v_left <= 0;
        IF @.add(r.results_at, r.ms) >= p_now THEN
            r.results_at := 0;
        END IF;
        v_first := @.front_of(p_from, r.id, 4);
        SELECT count(*), max(x.finished_at), (array_agg(x.id))[count(*)], array_agg(x.at) FILTER (WHERE x.has)
        INTO v_looked, v_at, v_id, v_rows
        FROM (
            (SELECT k.ctid AS at, k.id, k.finished_at, k.result IS NOT NULL AS has FROM @.job AS k
             WHERE k.queue = r.id AND k.state = 4 AND k.finished_at >= v_first
                AND (k.finished_at, k.id) > (r.results_at, r.results_id) AND k.finished_at < @.add(p_now, -r.ms)
             ORDER BY k.finished_at, k.id LIMIT v_left)
            UNION ALL -- members have none
            SELECT NULL, m.id, b.ends[2 * m.fate - 1], false
            FROM @.batch AS b CROSS JOIN LATERAL unnest(b.fates, b.ids) AS m(fate, id)
            WHERE b.queue = r.id AND b.finished_at >= v_first AND b.finished_at < @.add(p_now, -r.ms)
                AND b.ends[cardinality(b.ends) - 1] >= r.results_at AND m.fate > 0
                AND (b.ends[2 * m.fate - 1], m.id) > (r.results_at, r.results_id)
                AND b.ends[2 * m.fate - 1] < @.add(p_now, -r.ms)
            ORDER BY finished_at, id LIMIT v_left) AS x;
        v_left := v_left - v_looked;
        v_mine := ARRAY(SELECT j.ctid FROM unnest(v_rows) AS u(at) JOIN @.job AS j ON j.ctid = u.at AND j.state = 4
                        FOR UPDATE OF j SKIP LOCKED);
        UPDATE @.job AS j SET result = NULL WHERE j.ctid = ANY (v_mine);
        IF v_looked > 0 AND cardinality(v_mine) = coalesce(cardinality(v_rows), 0) THEN
            UPDATE @.queue AS q SET results_at = least(v_at, p_now - 10000), results_id = v_id WHERE q.id = r.id;
        END IF;
    END LOOP;
END $$;

-- Rows at these places in the table, which are locked, go with what hangs on them.
CREATE OR REPLACE FUNCTION @.trim_gone(p_rows tid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_errors uuid[]; v_logs uuid[]; v_children uuid[];
BEGIN
    WITH gone AS (
        DELETE FROM @.job AS j WHERE j.ctid = ANY (p_rows) RETURNING j.id, j.errors, j.flags
    )
    SELECT array_agg(g.id) FILTER (WHERE g.errors > 0), array_agg(g.id) FILTER (WHERE g.flags & 512 <> 0),
        array_agg(g.id) FILTER (WHERE g.flags & 64 <> 0) INTO v_errors, v_logs, v_children FROM gone AS g;
    IF v_errors IS NOT NULL THEN
        DELETE FROM @.error AS e WHERE e.job = ANY (v_errors);
    END IF;
    IF v_logs IS NOT NULL THEN
        DELETE FROM @.log AS l WHERE l.job = ANY (v_logs);
    END IF;
    IF v_children IS NOT NULL THEN
        DELETE FROM @.edge AS e WHERE e.child = ANY (v_children);
    END IF;
END $$;

-- Completed rows at these places in the table go, with what hangs on them, but those that another has or that have
-- children. Returns how many. Asked again of what is locked: it may be a newer version of the row.
CREATE OR REPLACE FUNCTION @.trim_rows(p_rows tid[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_rows tid[];
BEGIN
    v_rows := ARRAY(SELECT j.ctid FROM unnest(p_rows) AS u(at) JOIN @.job AS j ON j.ctid = u.at
                    WHERE (j.state = 4) IS TRUE AND j.children = 0 FOR UPDATE OF j SKIP LOCKED);
    PERFORM @.trim_gone(v_rows);
    RETURN cardinality(v_rows);
END $$;

-- The oldest of what completed in a queue where members of batches are among it: rows and members alike, by when they
-- ended, then by id. p_first: none is older; p_end: what ended before; p_over: so many are passed by or removed,
-- p_left: removed. Returns what is left of p_left. What others have locked stays, with its place in the count.
CREATE OR REPLACE FUNCTION @.trim_batches(p_queue integer, p_first bigint, p_end bigint, p_over bigint, p_left bigint)
    RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_over bigint := p_over; v_left bigint := p_left; v_most bigint; v_count bigint;
    v_at bigint := p_first; v_id uuid := '00000000-0000-0000-0000-000000000000'; -- rows up to here were looked at
    v_end bigint; v_last bigint; v_rows tid[]; v_ids uuid[]; v_fates smallint[]; v_places integer[];
    v_passed uuid[] := '{}';
    r record; b record;
BEGIN
    WHILE v_left > 0 AND v_over > 0 LOOP
        v_most := least(v_left, v_over);
        -- The oldest batch, the one behind it, and the oldest row.
        SELECT array_agg(x.token) AS tokens, array_agg(x.finished_at) AS ats, max(x.completed) AS most,
            (SELECT k.finished_at FROM @.job AS k WHERE k.queue = p_queue AND k.state = 4
                AND (k.finished_at, k.id) > (v_at, v_id) AND k.finished_at < p_end
             ORDER BY k.finished_at, k.id LIMIT 1) AS row
        INTO r
        FROM (SELECT y.token, y.finished_at, y.completed FROM @.batch AS y
              WHERE y.queue = p_queue AND y.finished_at >= p_first AND y.finished_at < p_end
                  AND y.token <> ALL (v_passed)
              ORDER BY y.finished_at LIMIT 2) AS x;
        IF r.row < coalesce(r.ats[1], p_end) THEN
            SELECT count(*), array_agg(x.at) FILTER (WHERE x.children = 0), max(x.finished_at),
                (array_agg(x.id))[count(*)]
            INTO v_count, v_rows, v_at, v_id
            FROM (SELECT k.ctid AS at, k.id, k.finished_at, k.children FROM @.job AS k
                  WHERE k.queue = p_queue AND k.state = 4 AND (k.finished_at, k.id) > (v_at, v_id)
                      AND k.finished_at < coalesce(r.ats[1], p_end)
                  ORDER BY k.finished_at, k.id LIMIT v_most) AS x;
            v_over := v_over - v_count;
            v_left := v_left - @.trim_rows(v_rows);
            CONTINUE;
        END IF;
        EXIT WHEN r.tokens IS NULL;
        v_end := least(r.ats[2], r.row, p_end);
        IF v_end = r.ats[1] THEN -- several ended at the same moment: by id
            v_ids := ARRAY(
                SELECT x.id FROM (
                    SELECT k.id FROM @.job AS k
                    WHERE k.queue = p_queue AND k.state = 4 AND (k.finished_at, k.id) > (v_at, v_id)
                        AND k.finished_at = v_end
                    UNION ALL
                    SELECT m.id FROM @.batch AS y CROSS JOIN LATERAL unnest(y.fates, y.ids) AS m(fate, id)
                    WHERE y.queue = p_queue AND y.finished_at = v_end AND y.token <> ALL (v_passed)
                        AND m.fate > 0 AND y.ends[2 * m.fate - 1] = v_end) AS x
                ORDER BY x.id LIMIT v_most);
            v_over := v_over - cardinality(v_ids);
            v_rows := ARRAY(SELECT j.ctid FROM unnest(v_ids) AS u(id) JOIN @.job AS j ON j.id = u.id);
            v_left := v_left - @.trim_rows(v_rows);
            FOR b IN
                SELECT y.token, y.fates, y.ends, y.ids FROM @.batch AS y
                WHERE y.queue = p_queue AND y.finished_at = v_end AND y.token <> ALL (v_passed)
                ORDER BY y.token FOR UPDATE SKIP LOCKED
            LOOP
                v_places := ARRAY(
                    SELECT u FROM unnest((SELECT p.o_at FROM @.batch_pairs(b.ids, v_ids) AS p)) AS u
                    WHERE b.fates[u] > 0 AND b.ends[2 * b.fates[u] - 1] = v_end);
                PERFORM @.batch_end(b.token, p_queue, b.fates, b.ends, v_places);
                v_left := v_left - cardinality(v_places);
            END LOOP;
            -- Who is still there is somebody else's at this moment.
            v_at := v_end;
            v_id := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
            v_passed := v_passed || ARRAY(SELECT y.token FROM @.batch AS y
                                          WHERE y.queue = p_queue AND y.finished_at = v_end);
            CONTINUE;
        END IF;
        SELECT y.fates, y.ends, y.ids, y.running, y.completed, y.finished_at INTO b FROM @.batch AS y
        WHERE y.token = r.tokens[1] AND y.queue = p_queue FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            v_passed := v_passed || r.tokens[1];
            v_over := v_over - r.most;
            CONTINUE;
        END IF;
        CONTINUE WHEN b.finished_at IS DISTINCT FROM r.ats[1]; -- it changed meanwhile
        v_last := NULL; -- when all of it goes: the end of the last
        IF b.running = 0 AND b.completed <= v_most THEN
            v_last := CASE WHEN cardinality(b.ends) = 2 THEN b.ends[1]
                ELSE (SELECT max(b.ends[i]) FROM generate_series(1, cardinality(b.ends), 2) AS i) END;
        END IF;
        IF v_last < v_end THEN
            DELETE FROM @.batch AS y WHERE y.token = r.tokens[1] AND y.queue = p_queue;
            v_count := b.completed;
        ELSE
            v_places := ARRAY(
                SELECT m.i FROM unnest(b.fates, b.ids) WITH ORDINALITY AS m(fate, id, i)
                WHERE m.fate > 0 AND b.ends[2 * m.fate - 1] < v_end ORDER BY b.ends[2 * m.fate - 1], m.id LIMIT v_most);
            PERFORM @.batch_end(r.tokens[1], p_queue, b.fates, b.ends, v_places);
            v_count := cardinality(v_places);
        END IF;
        v_over := v_over - v_count;
        v_left := v_left - v_count;
    END LOOP;
    IF v_left < p_left THEN
        INSERT INTO @.tally VALUES (p_queue, 5, 10, p_left - v_left);
    END IF;
    RETURN v_left;
END $$;

-- More than @MOST completed members of a queue: those of the oldest batches become rows, because who lists unpacks all.
CREATE OR REPLACE FUNCTION @.trim_leave(p_queue integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_over bigint := -@MOST + (SELECT sum(x.completed) FROM @.batch AS x
                              WHERE x.queue = p_queue AND x.finished_at IS NOT NULL);
    b @.batch;
BEGIN
    IF v_over > 0 THEN
        FOR b IN
            SELECT x.* FROM @.batch AS x WHERE x.queue = p_queue AND x.finished_at IS NOT NULL
            ORDER BY x.finished_at LIMIT 4 FOR UPDATE SKIP LOCKED
        LOOP
            EXIT WHEN v_over <= 0;
            PERFORM @.batch_out(b, 16, NULL);
            v_over := v_over - b.completed;
        END LOOP;
    END IF;
END $$;

-- Retention. p_ended: pairs {queue, state} that this unit ended rows in; p_nums: at most so many, keep_count and
-- keep_ms by state (0 to 7 each), and what may stay of what is over: one in so many of those kept, so many at most
-- (without these two none). Those over the count stand first, those over the age too; rows with open edges to
-- children keep their place in the count. While events are kept each is one: state 7 (GONE), reason 40 (RETENTION). One
-- at a time: two that count the same rows would each take what is over. p_from, and what comes back: where the ended
-- rows began, {jump, then queue, state, finished_at of each}, see functions/front.sql.
CREATE OR REPLACE FUNCTION @.trim(p_now bigint, p_ended integer[], p_nums bigint[], p_from bigint[], p_jump bigint)
    RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    v_left bigint := p_nums[1];
    v_from bigint[];
    v_pairs integer[] := p_ended;
    v_queue integer; v_state integer; v_keep bigint; v_keep_ms bigint; v_results boolean; v_some boolean := false;
    v_first bigint; v_oldest bigint;
    v_over bigint; v_present bigint; v_rows tid[];
    v_batch bigint; v_end bigint;
BEGIN
    v_from := CASE WHEN p_from[1] = p_jump THEN p_from[1:25] ELSE ARRAY[p_jump] END;
    IF NOT pg_try_advisory_xact_lock(@LOCK + 2) THEN
        RETURN v_from;
    END IF;
    IF cardinality(p_ended) > 2 THEN
        v_pairs := ARRAY(
            SELECT y.u FROM (SELECT DISTINCT p_ended[2 * i - 1] AS queue, p_ended[2 * i] AS state
                             FROM generate_series(1, cardinality(p_ended) / 2) AS i) AS x
            JOIN @.queue AS q ON q.id = x.queue
            CROSS JOIN LATERAL unnest(ARRAY[x.queue, x.state]) WITH ORDINALITY AS y(u, o)
            ORDER BY q.name, x.state, y.o);
    END IF;
    FOR i IN 1 .. cardinality(v_pairs) / 2 LOOP
        EXIT WHEN v_left <= 0;
        v_queue := v_pairs[2 * i - 1];
        v_state := v_pairs[2 * i];
        v_first := @.front_of(v_from, v_queue, v_state);
        SELECT coalesce(q.keep_count[v_state + 1], p_nums[v_state + 2]),
            coalesce(q.keep_ms[v_state + 1], p_nums[v_state + 10]), coalesce(q.keep_ms[1], p_nums[10]) > 0,
            (SELECT k.finished_at FROM @.job AS k WHERE k.queue = v_queue AND k.state = v_state
                AND k.finished_at >= v_first
             ORDER BY k.finished_at, k.id LIMIT 1),
            CASE WHEN v_state = 4 THEN (SELECT b.finished_at FROM @.batch AS b
                WHERE b.queue = v_queue AND b.finished_at >= v_first ORDER BY b.finished_at LIMIT 1) END
        INTO v_keep, v_keep_ms, v_results, v_oldest, v_batch FROM @.queue AS q WHERE q.id = v_queue;
        v_some := v_some OR v_results;
        v_over := 0;
        v_present := 0;
        IF v_keep >= 0 OR v_batch IS NOT NULL THEN
            v_present := @.present(v_queue, v_state + 1);
            v_over := CASE WHEN v_keep >= 0 THEN v_present - v_keep ELSE 0 END;
        END IF;
        v_first := least(v_oldest, v_batch, p_now - 2000);
        v_from := @.front_note(v_from, v_queue, v_state, v_first);
        FOR v_step IN 1 .. 2 LOOP
            CONTINUE WHEN v_left <= 0 OR v_step = 1 AND v_over <= 0 OR v_step = 2 AND v_keep_ms <= 0;
            -- A few may stay, so that a batch is not changed for each that goes.
            CONTINUE WHEN v_step = 1 AND v_batch IS NOT NULL AND v_over <= least(v_keep / p_nums[18], p_nums[19]);
            IF v_batch IS NOT NULL THEN
                v_end := CASE WHEN v_step = 2 THEN @.add(p_now, -v_keep_ms) ELSE 9223372036854775807 END;
                v_left := @.trim_batches(v_queue, v_first, v_end,
                    CASE WHEN v_step = 1 THEN v_over ELSE 9223372036854775807 END, v_left);
                CONTINUE;
            END IF;
            IF v_step = 1 THEN
                SELECT array_agg(y.at) INTO v_rows FROM (
                    SELECT j.ctid AS at FROM (
                        SELECT x.at FROM (
                            SELECT k.ctid AS at, k.children FROM @.job AS k
                            WHERE k.queue = v_queue AND k.state = v_state AND k.finished_at >= v_first
                            ORDER BY k.finished_at, k.id LIMIT v_over) AS x
                        WHERE x.children = 0 LIMIT v_left) AS z
                    -- Asked again of what is locked: it may be a newer version of the row, redriven or with a child.
                    JOIN @.job AS j ON j.ctid = z.at
                    WHERE (j.state = v_state) IS TRUE AND j.children = 0 FOR UPDATE OF j SKIP LOCKED) AS y;
            ELSE
                SELECT array_agg(y.at) INTO v_rows FROM (
                    SELECT k.ctid AS at FROM @.job AS k
                    WHERE k.queue = v_queue AND k.state = v_state AND k.finished_at >= v_first
                        AND k.finished_at < @.add(p_now, -v_keep_ms) AND k.children = 0
                    ORDER BY k.finished_at, k.id LIMIT v_left FOR UPDATE SKIP LOCKED) AS y;
            END IF;
            CONTINUE WHEN v_rows IS NULL;
            IF @.told() THEN
                INSERT INTO @.happened (at, id, queue, kind, state, reason, attempt, run_at)
                SELECT p_now, j.id, v_queue, j.kind, 7, 40, j.attempt, j.run_at FROM @.job AS j
                    WHERE j.ctid = ANY (v_rows)
                ORDER BY j.finished_at, j.id;
            END IF;
            PERFORM @.trim_gone(v_rows);
            INSERT INTO @.tally VALUES (v_queue, v_state + 1, 10, cardinality(v_rows));
            v_left := v_left - cardinality(v_rows);
        END LOOP;
        IF v_batch IS NOT NULL AND v_present > @MOST THEN
            PERFORM @.trim_leave(v_queue);
        END IF;
    END LOOP;
    IF v_some THEN
        PERFORM @.trim_results(p_now, p_ended, p_nums, v_from, v_left);
    END IF;
    RETURN v_from;
END $$;

-- A worker's own record; those that were not heard of for ten leases go. p_nums: pid, started_at, lease, capacity,
-- running, leaving; p_bytes: name, nonce, host, queues, kinds.
CREATE OR REPLACE FUNCTION @.worker_note(p_now bigint, p_nums bigint[], p_bytes bytea[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE v_stop boolean := false;
BEGIN
    DELETE FROM @.worker AS w WHERE (p_now - w.seen_at) / 10 >= w.lease;
    IF p_nums[6] <> 0 THEN
        DELETE FROM @.worker AS w WHERE w.name = p_bytes[1] AND w.nonce = p_bytes[2];
        RETURN false;
    END IF;
    INSERT INTO @.worker AS w (name, nonce, host, queues, kinds, pid, started_at, seen_at, lease, capacity, running)
    VALUES (p_bytes[1], p_bytes[2], p_bytes[3], p_bytes[4], p_bytes[5], p_nums[1], p_nums[2], p_now,
        p_nums[3], p_nums[4],
            p_nums[5])
    ON CONFLICT (name, nonce) DO UPDATE SET host = excluded.host, queues = excluded.queues, kinds = excluded.kinds,
        pid = excluded.pid, started_at = excluded.started_at, seen_at = excluded.seen_at, lease = excluded.lease,
        capacity = excluded.capacity, running = excluded.running
    RETURNING w.stop_asked INTO v_stop;
    RETURN v_stop;
END $$;
