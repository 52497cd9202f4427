-- SPDX-License-Identifier: MIT
-- What is counted. The bounds keep a look at a large backlog short: beyond them `at_least` says so.
CREATE OR REPLACE FUNCTION @.stats_queues(p_queue bytea, p_now bigint) RETURNS TABLE (name bytea, paused boolean,
    blocked bigint, due bigint, later bigint, running bigint, completed bigint, dead bigint, cancelled bigint,
    enqueued_total bigint, completed_total bigint, dead_total bigint, cancelled_total bigint, failed_total bigint,
    completed_trimmed bigint, dead_trimmed bigint, cancelled_trimmed bigint, come bigint, stuck bigint, oldest bigint,
    finished_at bigint, waited bigint[], waited_rows bigint[], waited_total bigint, ran bigint[], ran_rows bigint[],
    ran_total bigint, minute_completed bigint, minute_failed bigint, minute_ms bigint, quarter_completed bigint,
    quarter_failed bigint, quarter_ms bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH t AS (
        SELECT queue,
            sum(CASE WHEN came = 1 THEN rows ELSE 0 END - CASE WHEN was = 1 THEN rows ELSE 0 END) AS blocked,
            sum(CASE WHEN came = 2 THEN rows ELSE 0 END - CASE WHEN was = 2 THEN rows ELSE 0 END) AS due,
            sum(CASE WHEN came = 3 THEN rows ELSE 0 END - CASE WHEN was = 3 THEN rows ELSE 0 END) AS later,
            sum(CASE WHEN came = 4 THEN rows ELSE 0 END - CASE WHEN was = 4 THEN rows ELSE 0 END) AS running,
            sum(CASE WHEN came = 5 THEN rows ELSE 0 END - CASE WHEN was = 5 THEN rows ELSE 0 END) AS completed,
            sum(CASE WHEN came = 6 THEN rows ELSE 0 END - CASE WHEN was = 6 THEN rows ELSE 0 END) AS dead,
            sum(CASE WHEN came = 7 THEN rows ELSE 0 END - CASE WHEN was = 7 THEN rows ELSE 0 END) AS cancelled,
            sum(CASE WHEN was = 0 THEN rows ELSE 0 END) AS enqueued,
            sum(CASE WHEN came = 5 THEN rows ELSE 0 END) AS completed_total,
            sum(CASE WHEN came = 6 THEN rows ELSE 0 END) AS dead_total,
            sum(CASE WHEN came = 7 THEN rows ELSE 0 END) AS cancelled_total,
            sum(CASE WHEN came = 9 THEN rows ELSE 0 END) AS failed,
            sum(CASE WHEN was = 5 AND came = 10 THEN rows ELSE 0 END) AS completed_trimmed,
            sum(CASE WHEN was = 6 AND came = 10 THEN rows ELSE 0 END) AS dead_trimmed,
            sum(CASE WHEN was = 7 AND came = 10 THEN rows ELSE 0 END) AS cancelled_trimmed, max(at) AS finished_at
        FROM @.tally GROUP BY queue
    )
    SELECT q.name, q.paused, (q.blocked + coalesce(t.blocked, 0))::bigint, (q.due + coalesce(t.due, 0))::bigint,
        (q.later + coalesce(t.later, 0))::bigint, (q.running + coalesce(t.running, 0))::bigint,
        (q.completed + coalesce(t.completed, 0))::bigint, (q.dead + coalesce(t.dead, 0))::bigint,
        (q.cancelled + coalesce(t.cancelled, 0))::bigint, (q.enqueued_total + coalesce(t.enqueued, 0))::bigint,
        (q.completed_total + coalesce(t.completed_total, 0))::bigint,
        (q.dead_total + coalesce(t.dead_total, 0))::bigint,
        (q.cancelled_total + coalesce(t.cancelled_total, 0))::bigint, (q.failed_total + coalesce(t.failed, 0))::bigint,
        (q.completed_trimmed + coalesce(t.completed_trimmed, 0))::bigint,
        (q.dead_trimmed + coalesce(t.dead_trimmed, 0))::bigint,
        (q.cancelled_trimmed + coalesce(t.cancelled_trimmed, 0))::bigint,
        (SELECT count(*) FROM (SELECT 1 FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 3 AND j.place <= p_now
                               LIMIT 10001) AS x),
        (SELECT count(*) FROM @.job AS j WHERE j.clock <= p_now AND j.state = 3 AND j.queue = q.id)
            + (SELECT coalesce(sum(b.running), 0)::bigint FROM @.batch AS b
               WHERE b.lease_until <= p_now AND b.queue = q.id),
        (SELECT min(x.run_at) FROM (
            (SELECT j.run_at FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 1 ORDER BY j.place, j.n LIMIT 10000)
            UNION ALL
            (SELECT j.run_at FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 2 ORDER BY j.place, j.n LIMIT 10000)
            UNION ALL
            (SELECT j.run_at FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 4 LIMIT 10000)
            UNION ALL
            (SELECT j.run_at FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 3 AND j.place <= p_now
             ORDER BY j.place, j.n LIMIT 1)) AS x),
        greatest(q.finished_at, t.finished_at), f.waited, f.waited_rows, f.waited_total, f.ran, f.ran_rows, f.ran_total,
        f.minute_completed, f.minute_failed, p_now - (p_now / 10000 - 6) * 10000,
        f.quarter_completed, f.quarter_failed, p_now - (p_now / 10000 - 90) * 10000
    FROM @.queue AS q LEFT JOIN t ON t.queue = q.id
    LEFT JOIN @.stats_figures((SELECT x.id FROM @.queue AS x WHERE x.name = p_queue), p_now) AS f ON f.queue = q.id
    WHERE (p_queue IS NULL OR q.name = p_queue) AND (q.known OR q.enqueued_total + coalesce(t.enqueued, 0) > 0)
    ORDER BY q.name;
END $$;

CREATE OR REPLACE FUNCTION @.stats_kinds(p_queue bytea, p_now bigint)
    RETURNS TABLE (name bytea, kind bytea, ready bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT q.name, k.kind, least(count(*), 10000) FROM @.queue AS q CROSS JOIN LATERAL (
        (SELECT j.kind FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 1 ORDER BY j.place, j.n LIMIT 100000)
        UNION ALL
        (SELECT j.kind FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 2 ORDER BY j.place, j.n LIMIT 100000)
        UNION ALL
        (SELECT j.kind FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 4 LIMIT 100000)
        UNION ALL
        (SELECT j.kind FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 3 AND j.place <= p_now
         ORDER BY j.place, j.n LIMIT 100000)) AS k
    WHERE p_queue IS NULL OR q.name = p_queue GROUP BY q.name, k.kind ORDER BY q.name, k.kind;
END $$;

CREATE OR REPLACE FUNCTION @.stats_workers(p_now bigint) RETURNS SETOF @.worker LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM @.worker AS w WHERE (p_now - w.seen_at) / 10 < w.lease ORDER BY w.name, w.nonce
$$;

-- Settings of a queue; what is NULL stays as it is. A limit below 0 takes it away.
CREATE OR REPLACE FUNCTION @.set_queue(p_name bytea, p_paused boolean, p_depth bigint, p_keep_count bigint[],
    p_keep_ms bigint[], p_concurrency bigint, p_group_concurrency bigint, p_rate bigint, p_rate_ms bigint)
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_concurrency IS NOT NULL OR p_group_concurrency IS NOT NULL OR p_rate IS NOT NULL THEN
        PERFORM @.limits_change();
    END IF;
    -- An insert that meets a row has drawn a number all the same, and settings may be said for ever.
    PERFORM 1 FROM @.queue AS q WHERE q.name = p_name;
    IF NOT FOUND THEN
        INSERT INTO @.queue (name) VALUES (p_name) ON CONFLICT (name) DO NOTHING;
    END IF;
    UPDATE @.queue AS q SET known = true, paused = coalesce(p_paused, q.paused),
        depth = CASE WHEN p_depth IS NULL THEN q.depth WHEN p_depth >= 0 THEN p_depth END,
        keep_count = coalesce(p_keep_count, q.keep_count), keep_ms = coalesce(p_keep_ms, q.keep_ms),
        results_at = CASE WHEN p_keep_ms IS NULL THEN q.results_at ELSE 0 END,
        concurrency = CASE WHEN p_concurrency IS NULL THEN q.concurrency WHEN p_concurrency >= 0 THEN p_concurrency END,
        group_concurrency = CASE WHEN p_group_concurrency IS NULL THEN q.group_concurrency
                                 WHEN p_group_concurrency >= 0 THEN p_group_concurrency END,
        rate = CASE WHEN p_rate IS NULL THEN q.rate WHEN p_rate >= 0 THEN p_rate END,
        rate_ms = CASE WHEN p_rate IS NULL THEN q.rate_ms WHEN p_rate >= 0 THEN p_rate_ms END
    WHERE q.name = p_name;
    IF p_paused = false OR p_concurrency IS NOT NULL OR p_group_concurrency IS NOT NULL OR p_rate IS NOT NULL THEN
        PERFORM @.wake();
    END IF;
    RETURN 1;
END $$;

-- Tests move the clock.
CREATE OR REPLACE FUNCTION @.set_clock(p_ms bigint) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE @.meta AS m SET shift = @.add(m.shift, p_ms);
    IF p_ms < 0 THEN
        PERFORM nextval('@.jump');
    END IF;
    PERFORM @.wake();
    RETURN 1;
END $$;

-- Ask workers of this name to stop; how many are there?
CREATE OR REPLACE FUNCTION @.set_stop(p_name bytea) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE v_now bigint := @.clock(); v_asked integer;
BEGIN
    UPDATE @.worker AS w SET stop_asked = true WHERE w.name = p_name AND (v_now - w.seen_at) / 10 < w.lease;
    GET DIAGNOSTICS v_asked = ROW_COUNT;
    PERFORM @.wake();
    RETURN v_asked;
END $$;

-- Other stores of this database: schemas with tables like ours that this role may read, and how many workers live
-- there. What somebody holds locked (a schema that is being dropped) is not waited for.
CREATE OR REPLACE FUNCTION @.stats_namespaces() RETURNS TABLE (name bytea, workers bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE r record;
BEGIN
    FOR r IN
        SELECT n.nspname FROM pg_namespace AS n JOIN pg_class AS m ON m.relnamespace = n.oid AND m.relname = 'meta'
        JOIN pg_class AS w ON w.relnamespace = n.oid AND w.relname = 'worker'
        JOIN pg_class AS t ON t.relnamespace = n.oid AND t.relname = 'tally'
        WHERE n.nspname <> '@NAME' AND m.relkind = 'r' AND w.relkind = 'r' ORDER BY n.nspname
    LOOP
        name := convert_to(r.nspname::text, 'UTF8');
        workers := 0;
        BEGIN
            IF has_schema_privilege(r.nspname, 'USAGE') THEN
                EXECUTE format('SELECT count(*) FROM %I.worker AS w, %I.meta AS m WHERE
                    (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + m.shift - w.seen_at) / 10 < w.lease',
                    r.nspname, r.nspname) INTO workers;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            workers := 0; -- not ours to read, not what it should be, locked, or dropped at this moment
        END;
        RETURN NEXT;
    END LOOP;
END $$;
