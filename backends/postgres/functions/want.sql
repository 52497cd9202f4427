-- SPDX-License-Identifier: MIT
-- Taking rows out. First the rows are locked in the order of an index, passing by those that another has; then each is
-- reached by its place in the table, so that no plan can touch more rows than were asked for.

-- Rows whose time has come get their due bit, the earliest first. Returns whether there are more.
CREATE OR REPLACE FUNCTION @.want_due_bits(p_now bigint, p_queues integer[], p_most integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE v_rows tid[];
BEGIN
    IF NOT EXISTS (SELECT 1 FROM unnest(p_queues) AS q CROSS JOIN LATERAL (
            SELECT 1 FROM @.job AS j WHERE j.queue = q AND j.shelf = 3 AND j.place <= p_now LIMIT 1) AS x) THEN
        RETURN false;
    END IF;
    v_rows := ARRAY(
        SELECT x.at FROM unnest(p_queues) AS q CROSS JOIN LATERAL (
            SELECT j.ctid AS at, j.place, j.n FROM @.job AS j WHERE j.queue = q AND j.shelf = 3 AND j.place <= p_now
            ORDER BY j.place, j.n LIMIT p_most + 1 FOR UPDATE SKIP LOCKED) AS x
        ORDER BY x.place, x.n LIMIT p_most + 1);
    WITH come AS (
        UPDATE @.job AS j SET shelf = CASE WHEN j.flags & 2 <> 0 THEN 2 ELSE 1 END, place = @.add(j.run_at, j.rank_add)
        WHERE j.ctid = ANY (v_rows[1:p_most]) RETURNING j.queue
    )
    INSERT INTO @.tally SELECT c.queue, 3, 2, count(*) FROM come AS c GROUP BY 1;
    RETURN cardinality(v_rows) > p_most;
END $$;

CREATE OR REPLACE FUNCTION @.want_due(p_now bigint, p_alone boolean, p_limit integer, p_bytes bigint, p_lease bigint,
    p_others boolean, p_worker bytea, p_mint bytea, p_queues bytea[], p_kinds bytea[],
    OUT o_token uuid, OUT o_more boolean, OUT o_rows @.view[], OUT o_ids uuid[]) LANGUAGE plpgsql AS $$
DECLARE
    v_queues integer[]; v_names bytea[]; v_paused boolean[];
    v_at tid[] := '{}'; v_of bytea[] := '{}'; v_expired boolean[] := '{}';
    v_picked tid[]; v_late boolean[]; v_cut boolean;
    v_limit integer := CASE WHEN p_alone THEN least(p_limit, 1) ELSE p_limit END;
    v_shelf integer := CASE WHEN p_alone THEN 2 ELSE 1 END;
    v_used bigint := 0; v_claimed integer; v_sum bigint;
    v_scopes bytea[]; v_jobs uuid[]; v_rows @.view[];
BEGIN
    SELECT array_agg(x.id ORDER BY x.i), array_agg(x.name ORDER BY x.i), array_agg(x.paused ORDER BY x.i)
    INTO v_queues, v_names, v_paused FROM (
        SELECT q.id, q.name, q.paused, min(u.i) AS i FROM unnest(p_queues) WITH ORDINALITY AS u(name, i)
        JOIN @.queue AS q ON q.name = u.name GROUP BY q.id, q.name, q.paused) AS x;
    o_more := false;
    IF v_queues IS NULL THEN
        RETURN;
    END IF;
    o_more := @.want_due_bits(p_now, v_queues, CASE WHEN p_limit < 500000000 THEN 2 * p_limit + 64 ELSE 2147483646 END);
    FOR i IN 1 .. cardinality(v_queues) LOOP
        CONTINUE WHEN v_paused[i];
        EXIT WHEN cardinality(v_at) >= v_limit;
        WITH held AS MATERIALIZED (
            SELECT j.ctid AS at, j.payload_bytes, j.place, j.n, coalesce(j.expires_at <= p_now, false) AS late
            FROM @.job AS j
            WHERE j.queue = v_queues[i] AND j.shelf = v_shelf AND (p_kinds IS NULL OR j.kind = ANY (p_kinds))
            ORDER BY j.place, j.n LIMIT v_limit - cardinality(v_at) FOR UPDATE SKIP LOCKED
        ), sized AS (
            SELECT h.*, row_number() OVER w AS o,
                CASE WHEN row_number() OVER w = 1 AND cardinality(v_at) = 0 THEN least(h.payload_bytes, p_bytes)
                     ELSE h.payload_bytes END AS size
            FROM held AS h WINDOW w AS (ORDER BY h.place, h.n)
        ), summed AS (
            SELECT s.*, v_used + sum(s.size) OVER (ORDER BY s.o) AS used FROM sized AS s
        )
        SELECT array_agg(s.at ORDER BY s.o) FILTER (WHERE fits), array_agg(s.late ORDER BY s.o) FILTER (WHERE fits),
               max(s.used) FILTER (WHERE fits), bool_or(NOT fits)
        INTO v_picked, v_late, v_sum, v_cut
        FROM (SELECT x.*, p_bytes = 0 OR x.used <= p_bytes AS fits FROM summed AS x) AS s;
        IF v_picked IS NOT NULL THEN
            v_at := v_at || v_picked;
            v_expired := v_expired || v_late;
            v_of := v_of || array_fill(v_names[i], ARRAY[cardinality(v_picked)]);
            v_used := v_sum;
        END IF;
        IF v_cut THEN
            o_more := true;
            EXIT;
        END IF;
    END LOOP;
    IF cardinality(v_at) = 0 THEN
        RETURN;
    END IF;
    o_token := encode(p_mint || int8send(nextval('@.fence')), 'hex')::uuid;
    v_claimed := cardinality(array_positions(v_expired, false));
    WITH claimed AS (
        UPDATE @.job AS j SET state = 3, shelf = NULL, place = NULL, outcome = 0, token = o_token, worker = p_worker,
            attempt = CASE WHEN j.attempt < 9223372036854775807 THEN j.attempt + 1 ELSE j.attempt END, progress = NULL,
            flags = j.flags & ~396 | CASE WHEN v_claimed = 1 AND NOT p_others THEN 4 ELSE 0 END,
            started_at = p_now, stop_at = CASE WHEN j.timeout > 0 THEN @.add(p_now, j.timeout) END,
            lease_until = least(@.add(p_now, p_lease), CASE WHEN j.timeout > 0 THEN @.add(p_now, j.timeout) END),
            clock = least(@.add(p_now, p_lease), CASE WHEN j.timeout > 0 THEN @.add(p_now, j.timeout) END)
        FROM unnest(v_at, v_of, v_expired) WITH ORDINALITY AS u(at, name, late, i)
        WHERE j.ctid = u.at AND NOT u.late
        RETURNING u.i, ROW(j.id, j.token, u.name, j.kind, j.tenant, j.worker, j.payload, j.policy, j.key, NULL,
            NULL, j.data, j.trace, j.payload_bytes, j.state, j.reason, j.outcome, j.priority, j.rank_add, j.attempt,
            j.failures, j.crashes, j.snoozes, j.releases, j.redrives, j.edits, j.flags, j.shelf, j.pending, j.created_at,
            j.run_at, j.started_at, j.finished_at, j.lease_until, j.stop_at, j.expires_at, j.callback_until, j.timeout,
            j.callback IS NOT NULL AND j.flags & 32 = 0, 0,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::@.view AS v, j.id, j.key_hold, j.key_scope, j.queue,
            greatest(p_now - greatest(j.run_at, j.created_at), 0) AS waited
    ), counted AS (
        INSERT INTO @.tally
        SELECT c.queue, 2, 4, count(*), @.bucket(c.waited), least(sum(c.waited), 9223372036854775807)
        FROM claimed AS c GROUP BY c.queue, @.bucket(c.waited)
    )
    SELECT array_agg(c.v ORDER BY c.i), array_agg(c.id ORDER BY c.i),
        array_agg(c.key_scope) FILTER (WHERE c.key_hold = 1), array_agg(c.id) FILTER (WHERE c.key_hold = 1)
    INTO o_rows, o_ids, v_scopes, v_jobs FROM claimed AS c;
    IF @.told() THEN
        PERFORM @.tell(p_now, o_ids);
    END IF;
    IF v_scopes IS NOT NULL THEN
        PERFORM @.keys_settle(v_scopes, v_jobs, 3, p_now);
    END IF;
    IF v_claimed < cardinality(v_at) THEN
        -- Those past their time are given as they are, in their places.
        v_rows := o_rows;
        o_rows := '{}';
        v_claimed := 0;
        FOR i IN 1 .. cardinality(v_at) LOOP
            IF v_expired[i] THEN
                o_rows := o_rows || (SELECT @.show(j, 1, 4) FROM @.job AS j WHERE j.ctid = v_at[i]);
            ELSE
                v_claimed := v_claimed + 1;
                o_rows := o_rows || v_rows[v_claimed];
            END IF;
        END LOOP;
    END IF;
END $$;

-- What somebody or something has let slip, the oldest first.
CREATE OR REPLACE FUNCTION @.want_overdue(p_now bigint, p_limit integer, p_bytes bigint, p_lease bigint, p_mint bytea,
    OUT o_token uuid, OUT o_more boolean, OUT o_rows @.view[], OUT o_ids uuid[]) LANGUAGE plpgsql AS $$
DECLARE
    j @.job; v @.view;
    v_used bigint := 0; v_looked integer := 0; v_why integer;
    v_more boolean;
BEGIN
    o_more := false;
    FOR j IN
        SELECT k.* FROM @.job AS k WHERE k.clock <= p_now ORDER BY k.clock, k.n LIMIT 2 * p_limit + 1
        FOR UPDATE SKIP LOCKED
    LOOP
        EXIT WHEN coalesce(cardinality(o_rows), 0) >= p_limit;
        IF o_rows IS NOT NULL AND p_bytes > 0 AND j.payload_bytes > p_bytes - v_used THEN
            o_more := true;
            EXIT;
        END IF;
        v_why := CASE WHEN j.state = 3 AND j.flags & 128 <> 0 THEN 1 WHEN j.state = 3 AND j.flags & 256 <> 0 THEN 2
            WHEN j.state = 3 THEN CASE WHEN j.stop_at <= p_now THEN 2 ELSE 1 END WHEN j.state >= 4 THEN 5
            WHEN j.state = 1 AND j.reason = 2 AND j.callback_until <= p_now THEN 3 ELSE 4 END;
        IF v_why = 5 THEN
            IF v_looked = p_limit THEN
                o_more := true;
                EXIT;
            END IF;
            v_looked := v_looked + 1;
            SELECT x.o_more INTO v_more FROM @.edges_resolve(j.id, j.state, p_now) AS x;
            o_more := o_more OR v_more;
        END IF;
        v := NULL;
        IF v_why = 5 THEN
            v := @.show(j, 1, 5);
            SELECT array_agg(x.child ORDER BY x.child), array_agg(x.rule ORDER BY x.child),
                   array_agg(j.state::integer ORDER BY x.child)
            INTO v.edge_ids, v.edge_rules, v.edge_states
            FROM (SELECT e.child, e.rule FROM @.edge AS e WHERE e.parent = j.id AND e.open AND e.hard AND j.state <> 4
                  ORDER BY e.child LIMIT 64) AS x;
            CONTINUE WHEN v.edge_ids IS NULL;
        END IF;
        IF o_token IS NULL THEN
            o_token := encode(p_mint || int8send(nextval('@.fence')), 'hex')::uuid;
        END IF;
        IF j.state = 3 THEN
            UPDATE @.job AS k SET token = o_token, outcome = 0, lease_until = @.add(p_now, p_lease),
                clock = @.add(p_now, p_lease), flags = k.flags & ~384 | CASE v_why WHEN 1 THEN 128 ELSE 256 END
            WHERE k.id = j.id RETURNING * INTO j;
            o_ids := o_ids || j.id;
        END IF;
        IF v_why <> 5 THEN
            v := @.show(j, 1, v_why);
        END IF;
        o_rows := o_rows || v;
        v_used := least(v_used + j.payload_bytes, greatest(p_bytes, 0));
    END LOOP;
END $$;

-- The want of an exchange. p_mode: enum jobq_want_mode.
CREATE OR REPLACE FUNCTION @.want(p_client uuid, p_number bigint, p_drop bigint, p_mode integer, p_limit integer,
    p_bytes bigint, p_lease bigint, p_others boolean, p_worker bytea, p_mint bytea, p_queues bytea[], p_kinds bytea[],
    OUT o_now bigint, OUT o_next_due bigint, OUT o_repeat boolean, OUT o_token uuid, OUT o_more boolean,
    OUT o_rows @.view[], OUT o_next_tick bigint, OUT o_tick_names bytea[], OUT o_tick_bytes bytea[], OUT o_tick_nums bigint[])
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    v_receipt @.receipt;
    v_got record;
    v_next bigint[];
BEGIN
    o_now := @.clock();
    o_repeat := false;
    IF p_number > 0 THEN
        SELECT * INTO v_receipt FROM @.receipt AS r WHERE r.client = p_client AND r.number >= p_number AND r.part = 1
        ORDER BY r.number DESC LIMIT 1;
        IF v_receipt.number > p_number THEN
            RAISE EXCEPTION 'this request was given up' USING ERRCODE = 'JQ002';
        ELSIF v_receipt.number = p_number THEN
            -- Those that are still held, with the rest of their lease.
            o_repeat := true;
            o_token := v_receipt.token;
            o_more := v_receipt.more;
            SELECT array_agg(@.show(j, 1, CASE WHEN j.flags & 128 <> 0 THEN 1 WHEN j.flags & 256 <> 0 THEN 2 ELSE 0 END)
                             ORDER BY u.i) INTO o_rows
            FROM unnest(v_receipt.ids) WITH ORDINALITY AS u(id, i) JOIN @.job AS j ON j.id = u.id
            WHERE j.state = 3 AND j.outcome = 0 AND j.token = o_token;
            v_next := @.next_due(o_now);
            o_next_due := v_next[1];
            o_next_tick := v_next[2];
            RETURN;
        END IF;
    END IF;
    IF p_mode = 2 THEN
        SELECT * INTO v_got FROM @.want_overdue(o_now, p_limit, p_bytes, p_lease, p_mint);
    ELSE
        SELECT * INTO v_got FROM @.want_due(o_now, p_mode = 3, p_limit, p_bytes, p_lease, p_others, p_worker, p_mint,
            p_queues, p_kinds);
    END IF;
    o_token := v_got.o_token;
    o_more := v_got.o_more;
    o_rows := v_got.o_rows;
    IF p_number > 0 THEN
        IF o_rows IS NULL THEN -- nothing that must outlive a crash
            PERFORM set_config('synchronous_commit', 'off', true);
        END IF;
        INSERT INTO @.receipt (client, number, part, items, ids, token, more)
        VALUES (p_client, p_number, 1, '{}', coalesce(v_got.o_ids, '{}'), o_token, o_more);
        IF p_drop > 0 THEN
            DELETE FROM @.receipt AS r WHERE r.client = p_client AND r.number = p_drop;
        END IF;
    END IF;
    v_next := @.next_due(o_now);
    o_next_due := v_next[1];
    o_next_tick := v_next[2];
    IF p_mode = 2 AND o_next_tick <= o_now THEN
        SELECT x.o_names, x.o_bytes, x.o_nums INTO o_tick_names, o_tick_bytes, o_tick_nums FROM @.ticks_due(o_now) AS x;
    END IF;
END $$;
