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
            SELECT k.ctid AS at, k.id, k.finished_at, k.result IS NOT NULL AS has FROM @.job AS k
            WHERE k.queue = r.id AND k.state = 4 AND k.finished_at >= v_first
                AND (k.finished_at, k.id) > (r.results_at, r.results_id) AND k.finished_at < @.add(p_now, -r.ms)
            ORDER BY k.finished_at, k.id LIMIT v_left) AS x;
        v_left := v_left - v_looked;
        v_mine := ARRAY(SELECT j.ctid FROM unnest(v_rows) AS u(at) JOIN @.job AS j ON j.ctid = u.at AND j.state = 4
                        FOR UPDATE OF j SKIP LOCKED);
        UPDATE @.job AS j SET result = NULL WHERE j.ctid = ANY (v_mine);
        IF v_looked > 0 AND cardinality(v_mine) = coalesce(cardinality(v_rows), 0) THEN
            UPDATE @.queue AS q SET results_at = least(v_at, p_now - 10000), results_id = v_id WHERE q.id = r.id;
        END IF;
    END LOOP;
END $$;

-- Retention. p_ended: pairs {queue, state} that this unit ended rows in; p_nums: at most so many, keep_count and
-- keep_ms by state (0 to 7 each). Those over the count stand first, those over the age too; rows with open edges to
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
    v_over bigint; v_errors uuid[]; v_logs uuid[]; v_children uuid[]; v_rows tid[];
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
             ORDER BY k.finished_at, k.id LIMIT 1)
        INTO v_keep, v_keep_ms, v_results, v_oldest FROM @.queue AS q WHERE q.id = v_queue;
        v_some := v_some OR v_results;
        v_over := 0;
        IF v_keep >= 0 THEN
            v_over := @.present(v_queue, v_state + 1) - v_keep;
        END IF;
        v_first := least(v_oldest, p_now - 2000);
        v_from := @.front_note(v_from, v_queue, v_state, v_first);
        FOR v_step IN 1 .. 2 LOOP
            CONTINUE WHEN v_left <= 0 OR v_step = 1 AND v_over <= 0 OR v_step = 2 AND v_keep_ms <= 0;
            IF v_step = 1 THEN
                SELECT array_agg(y.at), array_agg(y.id) FILTER (WHERE y.errors > 0),
                    array_agg(y.id) FILTER (WHERE y.flags & 64 <> 0),
                       array_agg(y.id) FILTER (WHERE y.flags & 512 <> 0)
                INTO v_rows, v_errors, v_children, v_logs FROM (
                    SELECT j.ctid AS at, j.id, j.errors, j.flags FROM (
                        SELECT x.at FROM (
                            SELECT k.ctid AS at, k.children FROM @.job AS k
                            WHERE k.queue = v_queue AND k.state = v_state AND k.finished_at >= v_first
                            ORDER BY k.finished_at, k.id LIMIT v_over) AS x
                        WHERE x.children = 0 LIMIT v_left) AS z
                    -- Asked again of what is locked: it may be a newer version of the row, redriven or with a child.
                    JOIN @.job AS j ON j.ctid = z.at
                    WHERE (j.state = v_state) IS TRUE AND j.children = 0 FOR UPDATE OF j SKIP LOCKED) AS y;
            ELSE
                SELECT array_agg(y.at), array_agg(y.id) FILTER (WHERE y.errors > 0),
                    array_agg(y.id) FILTER (WHERE y.flags & 64 <> 0),
                       array_agg(y.id) FILTER (WHERE y.flags & 512 <> 0)
                INTO v_rows, v_errors, v_children, v_logs FROM (
                    SELECT k.ctid AS at, k.id, k.errors, k.flags FROM @.job AS k
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
            DELETE FROM @.job AS j WHERE j.ctid = ANY (v_rows);
            IF v_errors IS NOT NULL THEN
                DELETE FROM @.error AS e WHERE e.job = ANY (v_errors);
            END IF;
            IF v_logs IS NOT NULL THEN
                DELETE FROM @.log AS l WHERE l.job = ANY (v_logs);
            END IF;
            IF v_children IS NOT NULL THEN
                DELETE FROM @.edge AS e WHERE e.child = ANY (v_children);
            END IF;
            INSERT INTO @.tally VALUES (v_queue, v_state + 1, 10, cardinality(v_rows));
            v_left := v_left - cardinality(v_rows);
        END LOOP;
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
