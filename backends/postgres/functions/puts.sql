-- SPDX-License-Identifier: MIT
-- New rows. p_nums has 15 numbers for each: queue (number in p_queues, from 1), priority, rank_add, run_at base and
-- offset, expires_at base and offset, timeout, held, hold, conflict, window, only_if (0: none), and where its parents
-- are: the first of them in p_parents and how many.

-- Queues by name to queues by number; those that are not there are made.
CREATE OR REPLACE FUNCTION @.queues_of(p_names bytea[]) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE v_ids integer[];
BEGIN
    IF cardinality(p_names) = 1 THEN
        v_ids := ARRAY[(SELECT q.id FROM @.queue AS q WHERE q.name = p_names[1])];
    ELSE
        v_ids := ARRAY(SELECT q.id FROM unnest(p_names) WITH ORDINALITY AS u(name, i)
                       LEFT JOIN @.queue AS q ON q.name = u.name ORDER BY u.i);
    END IF;
    IF array_position(v_ids, NULL) IS NULL THEN
        RETURN v_ids;
    END IF;
    INSERT INTO @.queue (name) SELECT DISTINCT u.name FROM unnest(p_names) AS u(name)
    WHERE NOT EXISTS (SELECT 1 FROM @.queue AS q WHERE q.name = u.name) ORDER BY u.name ON CONFLICT (name) DO NOTHING;
    RETURN ARRAY(SELECT q.id FROM unnest(p_names) WITH ORDINALITY AS u(name, i)
                 LEFT JOIN @.queue AS q ON q.name = u.name ORDER BY u.i);
END $$;

-- A new row with these numbers, by whoever puts one by itself; 0 when its id is there already, else the place it is
-- counted in. p_parents: how many were named, p_pending of them do not let it go.
CREATE OR REPLACE FUNCTION @.job_put(p_now bigint, p_id uuid, p_queue integer, p_nums bigint[], p_kind bytea,
    p_tenant bytea, p_payload bytea, p_policy bytea, p_key bytea, p_trace bytea, p_scope bytea, p_digest bytea,
    p_parents integer, p_pending integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_run_at bigint := CASE p_nums[4] WHEN 0 THEN p_nums[5] ELSE @.add(p_now, p_nums[5]) END;
    v_expires_at bigint := nullif(CASE p_nums[6] WHEN 0 THEN p_nums[7] ELSE @.add(p_now, p_nums[7]) END, 0);
    v_held boolean := p_nums[9] <> 0;
    v_state integer := CASE WHEN v_held OR p_pending > 0 THEN 1 ELSE 2 END;
    v_shelf integer := CASE WHEN v_state = 1 THEN NULL WHEN v_run_at > p_now THEN 3 ELSE @.shelf_due(0, p_tenant) END;
BEGIN
    IF v_shelf <> 3 THEN
        PERFORM @.jump_before(@.add(v_run_at, p_nums[3]), p_now);
    END IF;
    INSERT INTO @.job (id, state, queue, kind, flags, shelf, place, clock, reason, run_at, rank_add, priority,
        pending, created_at, expires_at, timeout, key_scope, key_digest, key_hold, key_until, payload_bytes, tenant,
        policy, key, trace, payload)
    VALUES (p_id, v_state, p_queue, p_kind,
        CASE WHEN v_held THEN 1 ELSE 0 END | CASE WHEN p_parents > 0 THEN 64 ELSE 0 END, v_shelf,
        CASE WHEN v_shelf = 3 THEN v_run_at WHEN v_shelf IS NOT NULL THEN @.add(v_run_at, p_nums[3]) END, v_expires_at,
        CASE WHEN v_held THEN 3 WHEN p_pending > 0 THEN 1 ELSE 0 END, v_run_at, p_nums[3], p_nums[2],
        p_pending, p_now, v_expires_at, nullif(p_nums[8], 0), p_scope, p_digest,
        CASE WHEN p_scope IS NOT NULL THEN p_nums[10] END,
        CASE WHEN p_scope IS NOT NULL THEN @.add(p_now, p_nums[12]) END, coalesce(octet_length(p_payload), 0),
        p_tenant, p_policy, p_key, p_trace, p_payload)
    ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN 0;
    ELSIF @.batch_has(ARRAY[p_id]) THEN -- not looked at before: it may have become a member while this waited for it
        DELETE FROM @.job AS j WHERE j.id = p_id;
        RETURN 0;
    END IF;
    RETURN @.place_of(v_state, v_shelf);
END $$;

-- The key is held: the verdict, and what the conflict rule asks for.
CREATE OR REPLACE FUNCTION @.put_meets(p_now bigint, p_key @.key, p_conflict integer, p_digest bytea, p_payload bytea,
    p_run_at bigint, OUT o_verdict integer, OUT o_state integer, OUT o_run_at bigint, OUT o_same boolean,
    OUT o_woke boolean) LANGUAGE plpgsql AS $$
DECLARE j @.job; v_was integer; v_shelf integer;
BEGIN
    -- The key's row is ours meanwhile, so the holder cannot end; only who changes it waits for it.
    IF p_conflict IN (2, 3) THEN
        SELECT * INTO j FROM @.job AS k WHERE k.id = p_key.job AND k.key_scope = p_key.scope FOR UPDATE;
    ELSE
        SELECT * INTO j FROM @.job AS k WHERE k.id = p_key.job AND k.key_scope = p_key.scope;
    END IF;
    o_verdict := 2;
    o_same := p_key.digest = p_digest;
    o_woke := false;
    o_state := coalesce(j.state, p_key.ended);
    o_run_at := coalesce(j.run_at, 0);
    IF j.state IS NULL OR j.state > 2 OR p_conflict NOT IN (2, 3) THEN
        RETURN;
    END IF;
    IF p_conflict = 2 THEN
        o_verdict := 3;
        UPDATE @.job AS k SET payload = p_payload, payload_bytes = coalesce(octet_length(p_payload), 0),
            edits = least(k.edits + 1, 4294967295), key_digest = p_digest WHERE k.id = j.id;
        UPDATE @.key AS k SET digest = p_digest WHERE k.scope = p_key.scope;
        RETURN;
    END IF;
    o_verdict := 4;
    o_run_at := p_run_at;
    v_was := @.place_of(j.state, j.shelf);
    v_shelf := CASE WHEN j.state <> 2 THEN NULL WHEN p_run_at > p_now THEN 3 ELSE @.shelf_due(j.flags, j.tenant) END;
    UPDATE @.job AS k SET run_at = p_run_at, edits = least(k.edits + 1, 4294967295), shelf = v_shelf,
        place = CASE WHEN v_shelf = 3 THEN p_run_at WHEN v_shelf IS NOT NULL THEN @.add(p_run_at, k.rank_add) END
    WHERE k.id = j.id;
    o_woke := j.state = 2;
    IF v_shelf <> 3 THEN
        PERFORM @.jump_before(@.add(p_run_at, j.rank_add), p_now);
    END IF;
    IF @.place_of(j.state, v_shelf) <> v_was THEN
        INSERT INTO @.tally VALUES (j.queue, v_was, @.place_of(j.state, v_shelf), 1);
    END IF;
END $$;

-- p_keyed: how many have a key. p_ticks: names of schedules, p_tick_nums: {version, nominal, next, mode} of each put.
-- p_plain: none has parents, is a tick or hangs on a change, and no two have the same id or key; those are put
-- together. Verdicts: o_nums is NULL when every one was put, else {verdict, state, run_at (LIMITED: ms to wait), same
-- payload} of each.
CREATE OR REPLACE FUNCTION @.puts(p_now bigint, p_plain boolean, p_keyed integer, p_queues bytea[], p_ids uuid[],
    p_nums bigint[], p_kinds bytea[], p_tenants bytea[], p_payloads bytea[], p_policies bytea[], p_keys bytea[],
    p_traces bytea[], p_scopes bytea[], p_digests bytea[], p_parents uuid[], p_rules integer[], p_ticks bytea[],
    p_tick_nums bigint[], p_verdicts integer[], p_all_made boolean, OUT o_nums bigint[], OUT o_holders uuid[],
    OUT o_woke boolean) LANGUAGE plpgsql AS $$
DECLARE
    v_items integer := cardinality(p_ids);
    v_queues integer[];
    v_queue integer; v_depth bigint; v_run_at bigint; v_expires_at bigint;
    v_depths bigint[]; v_rows bigint[];
    v_put uuid[]; v_keyed uuid[]; v_all boolean := false;
    v_events bigint[] := '{}';
    v_pending integer; v_shelf integer; v_state integer; v_place integer; v_woken bigint; v_least bigint;
    v_names bytea[]; v_quotas bigint[]; v_periods bigint[]; v_helds bigint[]; v_of integer; v_wait bigint;
    v_counted bytea[];
    v_key @.key;
    v_met record;
    r record;
BEGIN
    o_woke := false;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- A row that is seen here and became a member since is in no batch that is seen: then this fails.
        PERFORM 1 FROM @.job AS j WHERE j.id = ANY (p_ids) FOR KEY SHARE;
    END IF;
    IF p_keyed > 0 THEN
        PERFORM @.keys_fade(p_now);
    END IF;
    -- One by itself is what a program waits for most often.
    IF p_plain AND v_items = 1 AND p_keyed = 0 AND p_tenants IS NULL THEN
        SELECT q.id, q.depth INTO v_queue, v_depth FROM @.queue AS q WHERE q.name = p_queues[1];
        IF v_queue IS NOT NULL AND v_depth IS NULL AND p_tenants IS NULL THEN
            v_run_at := p_nums[5];
            IF p_nums[4] <> 0 THEN v_run_at := @.add(p_now, v_run_at); END IF;
            v_expires_at := p_nums[7];
            IF p_nums[6] <> 0 THEN v_expires_at := @.add(p_now, v_expires_at); END IF;
            v_state := CASE WHEN p_nums[9] <> 0 THEN 1 ELSE 2 END;
            v_shelf := CASE WHEN v_state = 1 THEN NULL WHEN v_run_at > p_now THEN 3 ELSE 1 END;
            IF v_shelf = 1 AND (v_run_at < p_now OR p_nums[3] < 0) THEN
                PERFORM @.jump_before(@.add(v_run_at, p_nums[3]), p_now);
            END IF;
            INSERT INTO @.job (id, state, queue, kind, flags, shelf, place, clock, reason, run_at, rank_add, priority,
                created_at, expires_at, timeout, payload_bytes, tenant, policy, trace, payload, key)
            VALUES (p_ids[1], v_state, v_queue, p_kinds[1], 2 - v_state, v_shelf,
                CASE v_shelf WHEN 3 THEN v_run_at WHEN 1 THEN @.add(v_run_at, p_nums[3]) END, nullif(v_expires_at, 0),
                CASE WHEN v_state = 1 THEN 3 ELSE 0 END, v_run_at, p_nums[3], p_nums[2], p_now, nullif(v_expires_at, 0),
                nullif(p_nums[8], 0), coalesce(octet_length(p_payloads[1]), 0), p_tenants[1], p_policies[1],
                p_traces[1], p_payloads[1], p_keys[1])
            ON CONFLICT (id) DO NOTHING;
            IF FOUND THEN
                -- Is it a member? Asked only now, because the insert may have waited for who made it one.
                INSERT INTO @.tally
                SELECT v_queue, 0, CASE WHEN v_state = 1 THEN 1 WHEN v_shelf = 3 THEN 3 ELSE 2 END, 1
                WHERE NOT EXISTS (SELECT 1 FROM @.batch AS b WHERE b.high >= p_ids[1] AND b.low <= p_ids[1]
                                  AND b.fates[array_position(b.ids, p_ids[1])] >= 0);
                IF FOUND THEN
                    o_woke := v_state = 2;
                    IF @.told() THEN
                        PERFORM @.tell(p_now, p_ids);
                    END IF;
                    RETURN;
                END IF;
                DELETE FROM @.job AS j WHERE j.id = p_ids[1];
            END IF;
        END IF;
    END IF;
    v_queues := @.queues_of(p_queues);
    SELECT array_agg(q.depth ORDER BY u.i) INTO v_depths
    FROM unnest(v_queues) WITH ORDINALITY AS u(id, i) JOIN @.queue AS q ON q.id = u.id
    HAVING bool_or(q.depth IS NOT NULL);
    IF p_tenants IS NOT NULL THEN
        UPDATE @.queue AS q SET grouped = true WHERE q.id = ANY (v_queues) AND NOT q.grouped;
        SELECT * INTO v_names, v_quotas, v_periods, v_helds FROM @.quotas_lock(p_now, p_tenants);
    END IF;
    -- Many: to ask of each whether its id is there costs a sixth of putting it, so what has failed is undone and done
    -- one by one. Not for one: a transaction that calls this for each of its rows would have too many parts.
    IF v_depths IS NULL AND v_names IS NULL AND p_plain AND v_items > 1 THEN
        BEGIN
            IF p_keyed > 0 THEN
                WITH taken AS (
                    INSERT INTO @.key AS k (scope, job, hold, until, digest)
                    SELECT x.scope, x.id, p_nums[15 * x.i - 5], @.add(p_now, p_nums[15 * x.i - 3]), x.digest
                    FROM (SELECT unnest(p_ids) AS id, unnest(p_scopes) AS scope, unnest(p_digests) AS digest,
                              generate_series(1, v_items) AS i) AS x
                    WHERE x.scope IS NOT NULL
                    ORDER BY x.scope
                    ON CONFLICT (scope) DO NOTHING RETURNING k.job
                )
                SELECT array_agg(t.job), count(*) = p_keyed INTO v_keyed, v_all FROM taken AS t;
            END IF;
            WITH put AS (
                INSERT INTO @.job AS j (id, state, queue, kind, flags, shelf, place, clock, reason, run_at,
                    rank_add, priority, created_at, expires_at, timeout, key_scope, key_digest, key_hold, key_until,
                    payload_bytes, tenant, policy, key, trace, payload)
                SELECT f.id, CASE WHEN f.held <> 0 THEN 1 ELSE 2 END, v_queues[f.queue], f.kind,
                    CASE WHEN f.held <> 0 THEN 1 ELSE 0 END,
                    CASE WHEN f.held <> 0 THEN NULL WHEN f.run_at > p_now THEN 3 ELSE @.shelf_due(0, f.tenant) END,
                    CASE WHEN f.held <> 0 THEN NULL WHEN f.run_at > p_now THEN f.run_at
                        ELSE @.add(f.run_at, f.rank_add) END,
                    f.expires_at, CASE WHEN f.held <> 0 THEN 3 ELSE 0 END, f.run_at, f.rank_add, f.priority, p_now,
                    f.expires_at, f.timeout, f.scope, f.digest, CASE WHEN f.scope IS NOT NULL THEN f.hold END,
                    CASE WHEN f.scope IS NOT NULL THEN @.add(p_now, f.until) END, coalesce(octet_length(f.payload), 0),
                    f.tenant, f.policy, f.key, f.trace, f.payload
                FROM (
                    SELECT x.*, p_nums[b + 1] AS queue, p_nums[b + 2] AS priority, p_nums[b + 3] AS rank_add,
                        CASE p_nums[b + 4] WHEN 0 THEN p_nums[b + 5] ELSE @.add(p_now, p_nums[b + 5]) END AS run_at,
                        nullif(CASE p_nums[b + 6] WHEN 0 THEN p_nums[b + 7] ELSE @.add(p_now, p_nums[b + 7]) END, 0)
                            AS expires_at,
                        nullif(p_nums[b + 8], 0) AS timeout, p_nums[b + 9] AS held, p_nums[b + 10] AS hold,
                        p_nums[b + 12] AS until
                    FROM (SELECT unnest(p_ids) AS id, unnest(p_kinds) AS kind, unnest(p_tenants) AS tenant,
                              unnest(p_payloads) AS payload, unnest(p_policies) AS policy, unnest(p_keys) AS key,
                              unnest(p_traces) AS trace, unnest(p_scopes) AS scope, unnest(p_digests) AS digest,
                              15 * generate_series(0, v_items - 1) AS b) AS x
                    WHERE x.scope IS NULL OR v_all OR x.id = ANY (v_keyed)
                    OFFSET 0 -- computed once, not once for each use
                ) AS f
                RETURNING j.id, j.queue, j.state, j.shelf, j.place
            ), counted AS (
                INSERT INTO @.tally SELECT p.queue, 0, @.place_of(p.state, p.shelf), count(*)
                FROM put AS p GROUP BY 1, 3
            )
            SELECT array_agg(p.id), count(p.shelf), min(p.place) FILTER (WHERE p.shelf <> 3)
            INTO v_put, v_woken, v_least FROM put AS p;
            IF @.batch_has(p_ids) THEN -- some are members
                RAISE unique_violation;
            END IF;
            PERFORM @.jump_before(v_least, p_now);
            o_woke := v_woken > 0;
            IF cardinality(v_put) = v_items THEN
                IF @.told() THEN
                    PERFORM @.tell(p_now, p_ids);
                END IF;
                RETURN;
            END IF;
        EXCEPTION WHEN unique_violation THEN
            v_put := NULL;
            o_woke := false;
        END;
    END IF;

    o_nums := array_fill(0::bigint, ARRAY[4 * v_items]);
    o_holders := array_fill(NULL::uuid, ARRAY[v_items]);
    IF v_depths IS NOT NULL THEN
        PERFORM 1 FROM @.queue AS q WHERE q.id = ANY (v_queues) AND q.depth IS NOT NULL ORDER BY q.id FOR UPDATE;
        SELECT array_agg(q.depth ORDER BY u.i),
               array_agg(CASE WHEN q.depth IS NOT NULL THEN @.present(q.id, 1) + @.present(q.id, 2)
                             + @.present(q.id, 3) END
                         ORDER BY u.i)
        INTO v_depths, v_rows FROM unnest(v_queues) WITH ORDINALITY AS u(id, i) JOIN @.queue AS q ON q.id = u.id;
    END IF;
    FOR r IN
        SELECT x.*, p_nums[b + 1]::integer AS queue, p_nums[b + 2]::integer AS priority, p_nums[b + 3] AS rank_add,
            CASE p_nums[b + 4] WHEN 0 THEN p_nums[b + 5] ELSE @.add(p_now, p_nums[b + 5]) END AS run_at,
            nullif(CASE p_nums[b + 6] WHEN 0 THEN p_nums[b + 7] ELSE @.add(p_now, p_nums[b + 7]) END, 0) AS expires_at,
            nullif(p_nums[b + 8], 0) AS timeout, p_nums[b + 9] AS held, p_nums[b + 10]::integer AS hold,
            p_nums[b + 11]::integer AS conflict, p_nums[b + 12] AS until, p_nums[b + 13]::integer AS only_if,
            p_nums[b + 14]::integer AS parent, p_nums[b + 15]::integer AS parents
        FROM unnest(p_ids, p_kinds, p_tenants, p_payloads, p_policies, p_keys, p_traces, p_scopes, p_digests, p_ticks)
            WITH ORDINALITY AS x(id, kind, tenant, payload, policy, key, trace, scope, digest, tick, i)
        CROSS JOIN LATERAL (SELECT 15 * (x.i::integer - 1) AS b) AS y
        ORDER BY x.i
    LOOP
        DECLARE
            j @.job;
            v_at integer := 4 * r.i - 3;
            v_nominal bigint := p_tick_nums[v_at + 1];
            v_next bigint := p_tick_nums[v_at + 2];
            v_mode bigint := p_tick_nums[v_at + 3];
            v_first integer := 15 * r.i - 14;
        BEGIN
            IF r.id = ANY (v_put) THEN
                v_state := CASE WHEN r.held <> 0 THEN 1 ELSE 2 END;
                o_nums[v_at + 1] := v_state;
                o_nums[v_at + 2] := r.run_at;
                o_nums[v_at + 3] := 1;
                o_holders[r.i] := r.id;
                IF @.told() THEN
                    PERFORM @.tell(p_now, ARRAY[r.id]);
                END IF;
                CONTINUE;
            END IF;
            IF r.only_if > 0 AND NOT p_all_made AND p_verdicts[r.only_if] <> 0 THEN
                o_nums[v_at] := -21;
                CONTINUE;
            END IF;
            SELECT k.* INTO j FROM @.job AS k WHERE k.id = r.id
            UNION ALL SELECT m.* FROM @.members_of(ARRAY[r.id]) AS m;
            IF FOUND THEN
                o_nums[v_at] := 1;
                o_nums[v_at + 1] := j.state;
                o_nums[v_at + 2] := j.run_at;
                o_nums[v_at + 3] := CASE WHEN j.payload IS NOT DISTINCT FROM r.payload THEN 1 ELSE 0 END;
                o_holders[r.i] := j.id;
                CONTINUE;
            END IF;
            IF r.tick IS NOT NULL THEN
                o_nums[v_at] := @.tick_guard(r.tick, p_tick_nums[v_at], v_nominal);
                IF o_nums[v_at] = 0 AND v_mode <> 0 THEN
                    PERFORM @.tick_settle(r.tick, v_nominal, v_next, v_mode);
                    o_woke := true;
                END IF;
                CONTINUE WHEN o_nums[v_at] <> 0 OR v_mode <> 0;
            END IF;
            IF r.parents > 0 AND EXISTS (
                SELECT 1 FROM unnest(p_parents[r.parent : r.parent + r.parents - 1]) AS u(id)
                WHERE NOT EXISTS (SELECT 1 FROM @.job AS k WHERE k.id = u.id)
                    AND NOT EXISTS (SELECT 1 FROM @.members_of(ARRAY[u.id]))) THEN
                o_nums[v_at] := -9;
                CONTINUE;
            END IF;
            IF r.scope IS NOT NULL THEN
                v_key := @.key_held(r.scope, p_now);
                IF v_key.job IS NOT NULL THEN
                    SELECT * INTO v_met FROM @.put_meets(p_now, v_key, r.conflict, r.digest, r.payload, r.run_at);
                    -- A rule that ends with the job itself: live, unresolved.
                    IF r.conflict = 4 AND v_key.hold IN (0, 2) THEN
                        PERFORM @.key_succeed(r.scope, r.id, v_queues[r.queue], p_nums[v_first : v_first + 14], r.kind,
                            r.tenant, r.payload, r.policy, r.key, r.trace, r.digest);
                        v_met.o_verdict := 5;
                    END IF;
                    o_nums[v_at] := v_met.o_verdict;
                    o_nums[v_at + 1] := v_met.o_state;
                    o_nums[v_at + 2] := v_met.o_run_at;
                    o_nums[v_at + 3] := CASE WHEN v_met.o_same THEN 1 ELSE 0 END;
                    o_holders[r.i] := v_key.job;
                    o_woke := o_woke OR v_met.o_woke;
                    IF r.tick IS NOT NULL THEN
                        PERFORM @.tick_settle(r.tick, v_nominal, v_next, v_mode);
                        o_woke := true;
                    END IF;
                    CONTINUE;
                END IF;
            END IF;
            IF v_depths[r.queue] IS NOT NULL AND v_rows[r.queue] >= v_depths[r.queue] THEN
                o_nums[v_at] := -7;
                CONTINUE;
            END IF;
            v_of := array_position(v_names, r.tenant);
            IF v_of IS NOT NULL THEN
                v_wait := @.gauge_wait(v_helds[13 * v_of - 12 : 13 * v_of], v_quotas[v_of], v_periods[v_of], p_now);
                IF v_wait > 0 THEN
                    o_nums[v_at] := -8;
                    o_nums[v_at + 2] := v_wait;
                    CONTINUE;
                END IF;
                v_helds[13 * v_of - 12 : 13 * v_of] := @.gauge_add(v_helds[13 * v_of - 12 : 13 * v_of],
                    v_periods[v_of], p_now, 1);
                v_counted := v_counted || v_names[v_of];
            END IF;

            IF r.scope IS NOT NULL THEN
                INSERT INTO @.key (scope, job, hold, until, digest)
                VALUES (r.scope, r.id, r.hold, @.add(p_now, r.until), r.digest) ON CONFLICT (scope) DO NOTHING;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'the key was taken meanwhile' USING ERRCODE = 'serialization_failure';
                END IF;
            END IF;
            v_pending := 0;
            IF r.parents > 0 THEN
                -- The rows first, then the edges: both in the order of ids.
                PERFORM @.rows_lock(p_parents[r.parent : r.parent + r.parents - 1]);
                v_pending := @.edges_put(r.id, p_parents[r.parent : r.parent + r.parents - 1],
                                         p_rules[r.parent : r.parent + r.parents - 1]);
            END IF;
            v_place := @.job_put(p_now, r.id, v_queues[r.queue], p_nums[v_first : v_first + 14], r.kind,
                r.tenant, r.payload, r.policy, r.key, r.trace, r.scope, r.digest, r.parents, v_pending);
            IF v_place = 0 THEN
                RAISE EXCEPTION 'the id was taken meanwhile' USING ERRCODE = 'serialization_failure';
            END IF;
            IF @.told() THEN
                PERFORM @.tell(p_now, ARRAY[r.id]);
            END IF;
            IF v_rows IS NOT NULL THEN
                v_rows[r.queue] := v_rows[r.queue] + 1;
            END IF;
            IF r.tick IS NOT NULL THEN
                PERFORM @.tick_settle(r.tick, v_nominal, v_next, v_mode);
                o_woke := true;
            END IF;
            o_woke := o_woke OR v_place > 1;
            v_events := v_events || ARRAY[v_queues[r.queue]::bigint, 0, v_place, 1];
            o_nums[v_at + 1] := CASE v_place WHEN 1 THEN 1 ELSE 2 END;
            o_nums[v_at + 2] := r.run_at;
            o_nums[v_at + 3] := 1;
            o_holders[r.i] := r.id;
        END;
    END LOOP;
    IF v_names IS NOT NULL THEN
        PERFORM @.quotas_keep(v_names, v_helds, v_counted);
    END IF;
    PERFORM @.count(v_events);
END $$;
