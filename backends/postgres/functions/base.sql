-- SPDX-License-Identifier: MIT
-- Small things. Whatever runs below the functions that a client calls finds their settings: a search path without
-- anybody's objects, and plans by index.

-- a + b, saturating at the ends.
CREATE OR REPLACE FUNCTION @.add(a bigint, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN b > 0 AND a > 9223372036854775807 - b THEN 9223372036854775807
                WHEN b < 0 AND a < (-9223372036854775807 - 1) - b THEN -9223372036854775807 - 1
                ELSE a + b END
$$;

-- The store's clock from what tests added to it: the server's, and that. Every call of a client begins with it, so it
-- also notes for the transaction whether events are kept, by the name of the store: the program's own may use two.
CREATE OR REPLACE FUNCTION @.clock_of(p_shift bigint, p_events bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_now bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
BEGIN
    IF (p_events > 0) <> coalesce(current_setting('jobq.events', true) = '@NAME', false) THEN
        PERFORM set_config('jobq.events', CASE WHEN p_events > 0 THEN '@NAME' ELSE '' END, true);
    END IF;
    RETURN CASE WHEN p_shift > 0 AND v_now > 9223372036854775807 - p_shift THEN 9223372036854775807
                ELSE v_now + p_shift END;
END $$;

CREATE OR REPLACE FUNCTION @.clock() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_meta bigint[] := (SELECT ARRAY[m.shift, m.events] FROM @.meta AS m WHERE m.one = 1);
BEGIN
    RETURN @.clock_of(v_meta[1], v_meta[2]);
END $$;

-- What a call of an exchange looks at first, in one statement: {clock, the client's newest receipt of this part, or of
-- both, that is not older than the request, the newest number of [jump]}.
CREATE OR REPLACE FUNCTION @.opened(p_client uuid, p_number bigint, p_part integer) RETURNS bigint[]
    LANGUAGE plpgsql AS $$
DECLARE
    v_meta bigint[] := (
        SELECT ARRAY[m.shift, m.events,
            (SELECT r.number FROM @.receipt AS r WHERE p_number > 0 AND r.client = p_client AND r.number >= p_number
                 AND (r.part = p_part OR r.part = 0 AND r.more IS NOT NULL) ORDER BY r.number DESC LIMIT 1),
            coalesce(pg_sequence_last_value('@.jump'::regclass), 0)]
        FROM @.meta AS m WHERE m.one = 1);
BEGIN
    RETURN ARRAY[@.clock_of(v_meta[1], v_meta[2]), v_meta[3], v_meta[4]];
END $$;

-- The instant that {base, offset} means for a row whose own value is `own`: enum jobq_time_base.
CREATE OR REPLACE FUNCTION @.instant(base bigint, at bigint, own bigint, now bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE base WHEN 1 THEN @.add(now, at) WHEN 2 THEN @.add(greatest(own, now), at) WHEN 3 THEN at
                     WHEN 4 THEN @.add(own, at) ELSE own END
$$;

-- The place that a row is counted in, as in [tally].
-- What rises from token to token: their last eight bytes, which compare as the number does.
CREATE OR REPLACE FUNCTION @.fence_of(token uuid) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT substr(uuid_send(token), 9)
$$;

CREATE OR REPLACE FUNCTION @.place_of(state integer, shelf integer) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT (CASE state WHEN 1 THEN 1 WHEN 2 THEN CASE WHEN shelf = 3 THEN 3 ELSE 2 END ELSE state + 1 END)::smallint
$$;

-- Where a row stands that is due: by itself, alone, or with its group.
CREATE OR REPLACE FUNCTION @.shelf_due(flags integer, tenant bytea) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN flags & 2 <> 0 THEN 2 WHEN tenant <> '' THEN 4 ELSE 1 END
$$;

-- Does a key with this rule hold while its job is in this state (enum jobq_row_state)?
CREATE OR REPLACE FUNCTION @.holds(hold integer, state integer, until bigint, now bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE hold WHEN 1 THEN state IN (1, 2)
                     WHEN 2 THEN state IN (1, 2, 3, 5)
                     WHEN 3 THEN state IN (1, 2, 3) OR state IN (4, 5) AND now < until
                     WHEN 4 THEN true
                     ELSE state IN (1, 2, 3) END
$$;

-- When a row that nobody holds needs a look.
CREATE OR REPLACE FUNCTION @.alarm(j @.job) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN j.state = 3 THEN coalesce(j.lease_until, 0)
                WHEN j.state >= 4 THEN CASE WHEN j.children > 0 THEN j.finished_at END
                WHEN j.state = 1 AND j.reason = 2 THEN least(j.expires_at, j.callback_until)
                ELSE j.expires_at END
$$;

-- What happened, quadruples {queue, was, came, rows}, is added to the tally.
CREATE OR REPLACE FUNCTION @.count(events bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(events) = 4 THEN
        INSERT INTO @.tally VALUES (events[1], events[2], events[3], events[4]);
    ELSIF cardinality(events) > 4 THEN
        INSERT INTO @.tally
        SELECT events[4 * i + 1], events[4 * i + 2], events[4 * i + 3], sum(events[4 * i + 4])
        FROM generate_series(0, cardinality(events) / 4 - 1) AS i GROUP BY 1, 2, 3;
    END IF;
END $$;

-- The tally is added to the counts, by whoever is not in the way of another who does it.
CREATE OR REPLACE FUNCTION @.fold() RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE v_queues integer[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(@LOCK + 1) THEN
        RETURN;
    END IF;
    WITH taken AS MATERIALIZED (
        SELECT t.ctid AS at FROM @.tally AS t LIMIT 2000
    ), gone AS (
        DELETE FROM @.tally AS t USING taken WHERE t.ctid = taken.at RETURNING t.*
    ), moved AS (
        SELECT g.queue,
            sum(CASE WHEN came = 1 THEN rows ELSE 0 END - CASE WHEN was = 1 THEN rows ELSE 0 END) AS blocked,
            sum(CASE WHEN came = 2 THEN rows ELSE 0 END - CASE WHEN was = 2 THEN rows ELSE 0 END) AS due,
            sum(CASE WHEN came = 3 THEN rows ELSE 0 END - CASE WHEN was = 3 THEN rows ELSE 0 END) AS later,
            sum(CASE WHEN came = 4 THEN rows ELSE 0 END - CASE WHEN was = 4 THEN rows ELSE 0 END) AS running,
            sum(CASE WHEN came = 5 THEN rows ELSE 0 END - CASE WHEN was = 5 THEN rows ELSE 0 END) AS completed,
            sum(CASE WHEN came = 6 THEN rows ELSE 0 END - CASE WHEN was = 6 THEN rows ELSE 0 END) AS dead,
            sum(CASE WHEN came = 7 THEN rows ELSE 0 END - CASE WHEN was = 7 THEN rows ELSE 0 END) AS cancelled,
            sum(rows) FILTER (WHERE was = 0) AS enqueued, sum(rows) FILTER (WHERE came = 5) AS completed_total,
            sum(rows) FILTER (WHERE came = 6) AS dead_total, sum(rows) FILTER (WHERE came = 7) AS cancelled_total,
            sum(rows) FILTER (WHERE came = 9) AS failed,
            sum(rows) FILTER (WHERE was = 5 AND came = 10) AS completed_trimmed,
            sum(rows) FILTER (WHERE was = 6 AND came = 10) AS dead_trimmed,
            sum(rows) FILTER (WHERE was = 7 AND came = 10) AS cancelled_trimmed, max(at) AS finished_at
        FROM gone AS g GROUP BY g.queue
    ), figured AS (
        INSERT INTO @.figure AS f
        SELECT g.queue, x.what, x.number, sum(g.rows), least(sum(x.ms), 9223372036854775807)
        FROM gone AS g CROSS JOIN LATERAL @.figures_of(g.came, g.took, g.total, g.at) AS x GROUP BY 1, 2, 3
        ON CONFLICT (queue, what, number) DO UPDATE SET rows = f.rows + excluded.rows,
            total = @.add(f.total, excluded.total)
        RETURNING f.queue
    ), kept AS (
        UPDATE @.queue AS q SET blocked = q.blocked + m.blocked, due = q.due + m.due, later = q.later + m.later,
            running = q.running + m.running, completed = q.completed + m.completed, dead = q.dead + m.dead,
            cancelled = q.cancelled + m.cancelled, enqueued_total = q.enqueued_total + coalesce(m.enqueued, 0),
            completed_total = q.completed_total + coalesce(m.completed_total, 0),
            dead_total = q.dead_total + coalesce(m.dead_total, 0),
            cancelled_total = q.cancelled_total + coalesce(m.cancelled_total, 0),
            failed_total = q.failed_total + coalesce(m.failed, 0),
            completed_trimmed = q.completed_trimmed + coalesce(m.completed_trimmed, 0),
            dead_trimmed = q.dead_trimmed + coalesce(m.dead_trimmed, 0),
            cancelled_trimmed = q.cancelled_trimmed + coalesce(m.cancelled_trimmed, 0),
            finished_at = greatest(q.finished_at, m.finished_at)
        FROM moved AS m WHERE q.id = m.queue
    )
    SELECT array_agg(DISTINCT f.queue) INTO v_queues FROM figured AS f;
    IF v_queues IS NOT NULL THEN
        PERFORM @.figures_fade(v_queues);
    END IF;
    -- Clients that said nothing for long are gone; by the server's own clock, whatever tests do to ours.
    DELETE FROM @.receipt AS r WHERE r.at < clock_timestamp() - interval '30 minutes';
END $$;

-- How many rows of a queue are in a place, folded or not.
CREATE OR REPLACE FUNCTION @.present(p_queue integer, p_place integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_rows bigint;
BEGIN
    SELECT CASE p_place WHEN 1 THEN q.blocked WHEN 2 THEN q.due WHEN 3 THEN q.later WHEN 4 THEN q.running
                        WHEN 5 THEN q.completed WHEN 6 THEN q.dead ELSE q.cancelled END
        + coalesce((SELECT sum(CASE WHEN t.came = p_place THEN t.rows ELSE -t.rows END) FROM @.tally AS t
                    WHERE t.queue = p_queue AND (t.came = p_place) <> (t.was = p_place)), 0)
    INTO v_rows FROM @.queue AS q WHERE q.id = p_queue;
    RETURN v_rows;
END $$;

-- A row as it is given out: numbers that are 0 are NULL there, because to send a number costs a kilobyte of the
-- server's memory each. what: enum jobq_read_flags.
CREATE OR REPLACE FUNCTION @.show(j @.job, what integer, overdue integer) RETURNS @.view LANGUAGE plpgsql AS $$
DECLARE v @.view;
BEGIN
    v := ROW(j.id, j.token, (SELECT q.name FROM @.queue AS q WHERE q.id = j.queue), j.kind, j.tenant, j.worker,
        CASE WHEN what & 1 <> 0 THEN j.payload END, j.policy, j.key, CASE WHEN what & 2 <> 0 THEN j.result END,
        j.progress, CASE WHEN what & 1 <> 0 THEN j.data END, j.trace, nullif(j.payload_bytes, 0), j.state,
        nullif(j.reason, 0), nullif(j.outcome, 0), nullif(j.priority, 0), nullif(j.rank_add, 0), nullif(j.attempt, 0),
        nullif(j.failures, 0), nullif(j.crashes, 0), nullif(j.snoozes, 0), nullif(j.releases, 0), nullif(j.redrives, 0),
        nullif(j.edits, 0), nullif(j.flags, 0), j.shelf, nullif(j.pending, 0), j.created_at, j.run_at, j.started_at,
        j.finished_at, j.lease_until, j.stop_at, j.expires_at, j.callback_until, j.timeout,
        nullif(j.callback IS NOT NULL AND j.flags & 32 = 0, false), nullif(overdue, 0),
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::@.view;
    IF what & 4 <> 0 AND j.errors > 0 OR what & 16 <> 0 AND j.flags & 512 <> 0 THEN
        SELECT array_agg(e.attempt), array_agg(e.kind), array_agg(e.at), array_agg(e.worker), array_agg(e.text)
        INTO v.entry_attempts, v.entry_kinds, v.entry_ats, v.entry_workers, v.entry_texts
        FROM (
            SELECT 1 AS part, x.seq::bigint, x.attempt, x.kind, x.at, x.worker, x.text
            FROM @.error AS x WHERE what & 4 <> 0 AND x.job = j.id
            UNION ALL
            SELECT 2, l.seq, l.attempt, NULL, l.at, l.worker, l.text
            FROM @.log AS l WHERE what & 16 <> 0 AND l.job = j.id
            ORDER BY 1, 2
        ) AS e;
    END IF;
    IF what & 8 <> 0 AND j.flags & 64 <> 0 THEN
        SELECT array_agg(e.parent ORDER BY e.parent), array_agg(e.rule ORDER BY e.parent),
               array_agg(coalesce(p.state, (SELECT m.state FROM @.members_of(ARRAY[e.parent]) AS m), 7)::integer
                         ORDER BY e.parent)
        INTO v.edge_ids, v.edge_rules, v.edge_states
        FROM @.edge AS e LEFT JOIN @.job AS p ON p.id = e.parent WHERE e.child = j.id;
    END IF;
    RETURN v;
END $$;

-- The same as [show] without errors, lines and edges, as what many rows can be gathered in: an array of what has bytes
-- and one of numbers, as functions of one expression, which a statement takes in. To make, sort and send values of a
-- composite type was a quarter of a drain. p_place: the row's place among those that are given, from 1.
CREATE OR REPLACE FUNCTION @.row_bytes(j @.job, p_queue bytea) RETURNS bytea[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[uuid_send(j.id), uuid_send(j.token), p_queue, j.kind, j.tenant, j.worker, j.payload,
        j.policy, j.key, NULL, j.progress, j.data, j.trace]
$$;
CREATE OR REPLACE FUNCTION @.row_numbers(j @.job, p_overdue integer, p_place bigint) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[nullif(j.payload_bytes, 0), j.state, nullif(j.reason, 0), nullif(j.outcome, 0), nullif(j.priority, 0),
        nullif(j.rank_add, 0), nullif(j.attempt, 0), nullif(j.failures, 0), nullif(j.crashes, 0), nullif(j.snoozes, 0),
        nullif(j.releases, 0), nullif(j.redrives, 0), nullif(j.edits, 0), nullif(j.flags, 0), j.shelf,
        nullif(j.pending, 0), j.created_at, j.run_at, j.started_at, j.finished_at, j.lease_until, j.stop_at,
        j.expires_at, j.callback_until, j.timeout, CASE WHEN j.callback IS NOT NULL AND j.flags & 32 = 0 THEN 1 END,
        nullif(p_overdue, 0), p_place]
$$;
