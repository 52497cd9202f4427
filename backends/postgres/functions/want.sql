-- SPDX-License-Identifier: MIT
-- Taking rows out. First the rows are locked in the order of an index, passing by those that another has; then each is
-- reached by its place in the table, so that no plan can touch more rows than were asked for.

-- Rows whose time has come get their due bit, the earliest first. Returns whether there are more, NULL when
-- none had come.
CREATE OR REPLACE FUNCTION @.want_due_bits(p_now bigint, p_queues integer[], p_most integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE v_rows tid[]; v_place bigint;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM unnest(p_queues) AS q CROSS JOIN LATERAL (
            SELECT 1 FROM @.job AS j WHERE j.queue = q AND j.shelf = 3 AND j.place <= p_now LIMIT 1) AS x) THEN
        RETURN NULL;
    END IF;
    v_rows := ARRAY(
        SELECT x.at FROM unnest(p_queues) AS q CROSS JOIN LATERAL (
            SELECT j.ctid AS at, j.place, j.n FROM @.job AS j WHERE j.queue = q AND j.shelf = 3 AND j.place <= p_now
            ORDER BY j.place, j.n LIMIT p_most + 1 FOR UPDATE SKIP LOCKED) AS x
        ORDER BY x.place, x.n LIMIT p_most + 1);
    WITH come AS (
        UPDATE @.job AS j SET shelf = @.shelf_due(j.flags, j.tenant), place = @.add(j.run_at, j.rank_add)
        WHERE j.ctid = ANY (v_rows[1:p_most]) RETURNING j.queue, j.place
    ), counted AS (
        INSERT INTO @.tally SELECT c.queue, 3, 2, count(*) FROM come AS c GROUP BY 1
    )
    SELECT min(c.place) INTO v_place FROM come AS c;
    PERFORM @.jump_before(v_place, p_now);
    RETURN cardinality(v_rows) > p_most;
END $$;

CREATE OR REPLACE FUNCTION @.token_next(p_mint bytea) RETURNS uuid LANGUAGE sql AS $$
    SELECT encode(p_mint || int8send(nextval('@.fence')), 'hex')::uuid
$$;

-- Claim what was picked, or give it as it is when it is too late for it; p_of: the names of the queues. p_lonely:
-- nothing else is held by this process or claimed in this want. p_before: so many rows are given before these. p_joins:
-- those that become members of a batch, NULL for none; p_keep: and that is not made yet, of o_members, o_put_bytes,
-- o_put_numbers, o_waits and o_tenants, see batch_take. Rows come in any order, with their places; o_ids, those
-- claimed, in theirs.
CREATE OR REPLACE FUNCTION @.want_take(p_now bigint, p_token uuid, p_lease bigint, p_lonely boolean, p_worker bytea,
    p_at tid[], p_of bytea[], p_late boolean[], p_joins boolean[], p_before integer, p_keep boolean,
    OUT o_bytes bytea[], OUT o_numbers bigint[], OUT o_ids uuid[], OUT o_members uuid[],
    OUT o_put_bytes bytea[], OUT o_put_numbers bigint[], OUT o_waits bigint[], OUT o_tenants bytea[])
LANGUAGE plpgsql AS $$
DECLARE
    v_claimed integer := cardinality(array_positions(p_late, false));
    v_joined integer := coalesce(cardinality(array_positions(p_joins, true)), 0);
    v_batch record;
    v_until bigint := @.add(p_now, p_lease);
    v_alone integer := CASE WHEN v_claimed = 1 AND p_lonely THEN 4 ELSE 0 END;
    v_scopes bytea[]; v_jobs uuid[]; v_bytes bytea[]; v_numbers bigint[]; v_ids uuid[]; v_places bigint[];
    v_queue integer; v_waited bigint;
BEGIN
    IF v_joined > 0 THEN
        v_batch := @.batch_take(p_now, p_token, v_until, p_worker, p_at, p_of, p_joins, p_before,
            p_keep);
        o_bytes := v_batch.o_bytes;
        o_numbers := v_batch.o_numbers;
        o_ids := v_batch.o_ids;
        IF p_keep THEN
            o_members := v_batch.o_ids;
            o_put_bytes := v_batch.o_put_bytes;
            o_put_numbers := v_batch.o_put_numbers;
            o_waits := v_batch.o_waits;
            o_tenants := v_batch.o_tenants;
        END IF;
    END IF;
    IF v_joined = cardinality(p_at) THEN
        RETURN;
    ELSIF v_claimed = 1 AND cardinality(p_at) = 1 THEN -- the same without what gathers many
        UPDATE @.job AS j SET state = 3, shelf = NULL, place = NULL, outcome = 0, token = p_token, worker = p_worker,
            attempt = CASE WHEN j.attempt < 9223372036854775807 THEN j.attempt + 1 ELSE j.attempt END, progress = NULL,
            flags = j.flags & ~396 | v_alone,
            started_at = p_now, stop_at = CASE WHEN j.timeout > 0 THEN @.add(p_now, j.timeout) END,
            lease_until = least(v_until, CASE WHEN j.timeout > 0 THEN @.add(p_now, j.timeout) END),
            clock = least(v_until, CASE WHEN j.timeout > 0 THEN @.add(p_now, j.timeout) END)
        WHERE j.ctid = p_at[1]
        RETURNING ARRAY[@.row_bytes(j, p_of[1])], ARRAY[@.row_numbers(j, 0, p_before + 1)], ARRAY[j.id], j.queue,
            greatest(p_now - greatest(j.run_at, j.created_at), 0), CASE WHEN j.key_hold = 1 THEN ARRAY[j.key_scope] END
        INTO o_bytes, o_numbers, o_ids, v_queue, v_waited, v_scopes;
        v_jobs := o_ids;
        INSERT INTO @.tally VALUES (v_queue, 2, 4, 1, @.bucket(v_waited), v_waited);
    ELSE
        WITH claimed AS (
            UPDATE @.job AS j SET state = 3, shelf = NULL, place = NULL, outcome = 0, token = p_token,
                worker = p_worker,
                attempt = CASE WHEN j.attempt < 9223372036854775807 THEN j.attempt + 1 ELSE j.attempt END,
                progress = NULL, flags = j.flags & ~396 | v_alone,
                started_at = p_now, stop_at = CASE WHEN j.timeout > 0 THEN @.add(p_now, j.timeout) END,
                lease_until = least(v_until, CASE WHEN j.timeout > 0 THEN @.add(p_now, j.timeout) END),
                clock = least(v_until, CASE WHEN j.timeout > 0 THEN @.add(p_now, j.timeout) END)
            FROM unnest(p_at, p_of, p_late, p_joins) WITH ORDINALITY AS u(at, name, late, joins, i)
            WHERE j.ctid = u.at AND NOT u.late AND u.joins IS NOT TRUE
            RETURNING u.i, j.id, @.row_bytes(j, u.name) AS bytes, @.row_numbers(j, 0, p_before + u.i) AS numbers,
                j.key_hold, j.key_scope, j.queue, greatest(p_now - greatest(j.run_at, j.created_at), 0) AS waited
        ), counted AS (
            INSERT INTO @.tally
            SELECT c.queue, 2, 4, count(*), @.bucket(c.waited), least(sum(c.waited), 9223372036854775807)
            FROM claimed AS c GROUP BY c.queue, @.bucket(c.waited)
        )
        SELECT array_agg(c.bytes), array_agg(c.numbers), array_agg(c.id ORDER BY c.i), array_agg(c.i ORDER BY c.i),
            array_agg(c.key_scope) FILTER (WHERE c.key_hold = 1), array_agg(c.id) FILTER (WHERE c.key_hold = 1)
        INTO v_bytes, v_numbers, v_ids, v_places, v_scopes, v_jobs FROM claimed AS c;
        o_bytes := o_bytes || v_bytes;
        o_numbers := o_numbers || v_numbers;
        o_ids := o_ids || v_ids;
        IF v_joined > 0 THEN
            o_ids := ARRAY(SELECT u.id FROM unnest(o_ids, v_batch.o_places || v_places) AS u(id, i) ORDER BY u.i);
        END IF;
    END IF;
    IF @.told() THEN
        PERFORM @.tell(p_now, o_ids);
    END IF;
    IF v_scopes IS NOT NULL THEN
        PERFORM @.keys_settle(v_scopes, v_jobs, 3, p_now);
    END IF;
    IF v_claimed < cardinality(p_at) THEN
        SELECT array_agg(@.row_bytes(j, u.name)), array_agg(@.row_numbers(j, 4, p_before + u.i)) INTO v_bytes, v_numbers
        FROM unnest(p_at, p_of, p_late) WITH ORDINALITY AS u(at, name, late, i)
        JOIN @.job AS j ON j.ctid = u.at WHERE u.late;
        o_bytes := o_bytes || v_bytes;
        o_numbers := o_numbers || v_numbers;
    END IF;
END $$;

-- The first rows of a queue that are due, locked. A list without an order of its own comes as the rows below it do.
CREATE OR REPLACE FUNCTION @.want_pick(p_now bigint, p_queue integer, p_from bigint, p_kinds bytea[], p_token uuid,
    p_limit bigint, OUT o_at tid[], OUT o_late boolean[], OUT o_plain boolean[], OUT o_sizes bigint[],
    OUT o_sum bigint, OUT o_starts bigint, OUT o_first bigint, OUT o_all boolean) LANGUAGE plpgsql AS $$
BEGIN
    SELECT array_agg(h.at), array_agg(h.late), array_agg(h.plain), array_agg(h.payload_bytes),
        least(coalesce(sum(h.payload_bytes), 0), 9223372036854775807), count(*) FILTER (WHERE NOT h.late), min(h.place)
    INTO o_at, o_late, o_plain, o_sizes, o_sum, o_starts, o_first
    FROM (
        SELECT j.ctid AS at, j.payload_bytes, j.place, coalesce(j.expires_at <= p_now, false) AS late,
            @.is_plain(j) AS plain
        FROM @.job AS j
        WHERE j.queue = p_queue AND j.shelf = 1 AND j.place >= p_from
            AND (p_kinds IS NULL OR j.kind = ANY (p_kinds))
            AND (p_token IS NULL OR j.token IS NULL OR @.fence_of(j.token) < @.fence_of(p_token))
        ORDER BY j.place, j.n LIMIT p_limit FOR UPDATE SKIP LOCKED) AS h;
    o_all := false;
END $$;

-- How many of these sizes fit, one behind the other, and what is used then. p_first: the first does, whatever its size.
CREATE OR REPLACE FUNCTION @.want_fits(p_sizes bigint[], p_bytes bigint, p_used bigint, p_first boolean)
    RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE v_used bigint := p_used; v_count bigint := 0; v_size bigint;
BEGIN
    FOREACH v_size IN ARRAY p_sizes LOOP
        IF p_first AND v_count = 0 THEN
            v_size := least(v_size, p_bytes);
        END IF;
        EXIT WHEN v_size > p_bytes - v_used;
        v_used := v_used + v_size;
        v_count := v_count + 1;
    END LOOP;
    RETURN ARRAY[v_count, v_used];
END $$;

-- Due rows, in the order of the queues, within one by rank or by turns. p_turn_*: where each queue's circle stands,
-- NULL for all when no place is known; back come those that were looked at. o_busy: another looks at what is limited at
-- this moment. o_wait: in so many ms a rate allows a start that it held back. p_from: where the front of each queue
-- was, see functions/front.sql: {jump, 1 to look again from the very first when there is nothing, place in each of
-- p_queues}; o_from: where it is now, {jump, how many entries were met, places}. o_member_*: as of [want].
CREATE OR REPLACE FUNCTION @.want_due(p_now bigint, p_alone boolean, p_limit integer, p_bytes bigint, p_lease bigint,
    p_others boolean, p_worker bytea, p_mint bytea, p_queues bytea[], p_kinds bytea[], p_share integer,
    p_turn_groups bytea[], p_turn_sinces bytea[], p_turn_givens bigint[], p_from bigint[], p_jump bigint,
    OUT o_token uuid, OUT o_more boolean, OUT o_bytes bytea[], OUT o_numbers bigint[], OUT o_ids uuid[],
    OUT o_busy boolean, OUT o_wait bigint, OUT o_turns bytea[], OUT o_turn_givens bigint[], OUT o_from bigint[],
    OUT o_member_ids uuid[], OUT o_member_bytes bytea[], OUT o_member_numbers bigint[], OUT o_member_queues bytea[],
    OUT o_member_counts integer[])
    LANGUAGE plpgsql AS $$
DECLARE
    v_queues integer[]; v_names bytea[]; v_paused boolean[]; v_limited boolean[]; v_grouped boolean[];
    v_places integer[];
    v_at tid[] := '{}'; v_of bytea[] := '{}'; v_expired boolean[] := '{}'; v_joined boolean[] := '{}';
    v_picked tid[]; v_late boolean[]; v_joins boolean[]; v_cut boolean := false; v_turns boolean;
    v_limit integer := CASE WHEN p_alone THEN least(p_limit, 1) ELSE p_limit END;
    v_given integer := 0; v_used bigint := 0; v_sum bigint; v_fits bigint[]; v_starts bigint;
    v_room bigint; v_groups boolean;
    v_from bigint; v_first bigint; v_met bigint; v_jump bigint;
    v_wants bigint; v_all boolean; v_until bigint := @.add(p_now, p_lease);
    q @.queue;
    v_one record; v_took record; v_batch record;
BEGIN
    IF cardinality(p_queues) = 1 THEN
        SELECT ARRAY[y.id], p_queues, ARRAY[y.paused], ARRAY[y.concurrency IS NOT NULL OR y.rate IS NOT NULL],
            ARRAY[y.grouped],
               ARRAY[1]
        INTO v_queues, v_names, v_paused, v_limited, v_grouped, v_places FROM @.queue AS y WHERE y.name = p_queues[1];
    ELSE
        SELECT array_agg(x.id ORDER BY x.i), array_agg(x.name ORDER BY x.i), array_agg(x.paused ORDER BY x.i),
               array_agg(x.limited ORDER BY x.i), array_agg(x.grouped ORDER BY x.i), array_agg(x.i ORDER BY x.i)
        INTO v_queues, v_names, v_paused, v_limited, v_grouped, v_places FROM (
            SELECT y.id, y.name, y.paused, y.concurrency IS NOT NULL OR y.rate IS NOT NULL AS limited, y.grouped,
                   min(u.i)::integer AS i
            FROM unnest(p_queues) WITH ORDINALITY AS u(name, i)
            JOIN @.queue AS y ON y.name = u.name GROUP BY y.id) AS x;
    END IF;
    o_more := false;
    o_busy := false;
    IF v_queues IS NULL THEN
        RETURN;
    END IF;
    o_more := @.want_due_bits(p_now, v_queues, CASE WHEN p_limit < 500000000 THEN 2 * p_limit + 64 ELSE 2147483646 END);
    v_jump := p_jump;
    IF o_more IS NULL THEN
        o_more := false;
    ELSE
        v_jump := @.jumps(); -- they may stand before what was met
    END IF;
    o_from := @.front_places(p_from, v_jump, cardinality(p_queues));
    v_met := pg_stat_get_xact_tuples_returned('@.job_shelf'::regclass);
    FOR i IN 1 .. cardinality(v_queues) LOOP
        CONTINUE WHEN v_paused[i];
        EXIT WHEN v_cut OR v_given >= v_limit;
        v_turns := v_grouped[i] AND NOT p_alone;
        IF v_turns THEN
            v_turns := EXISTS (SELECT 1 FROM @.job AS j WHERE j.queue = v_queues[i] AND j.shelf = 4);
        END IF;
        v_room := NULL;
        q := NULL;
        IF v_limited[i] OR v_grouped[i] THEN
            -- No limit holds back what is not there.
            CONTINUE WHEN p_alone AND NOT EXISTS (SELECT 1 FROM @.job AS j WHERE j.queue = v_queues[i] AND j.shelf = 2)
                OR NOT p_alone AND NOT v_turns
                    AND NOT EXISTS (SELECT 1 FROM @.job AS j WHERE j.queue = v_queues[i] AND j.shelf = 1);
            IF v_limited[i] AND NOT @.gate(1, v_names[i]) THEN
                o_busy := true;
                CONTINUE;
            END IF;
            SELECT * INTO q FROM @.queue AS y WHERE y.id = v_queues[i];
            v_one := @.queue_room(p_now, q);
            v_room := v_one.o_room;
            o_wait := least(o_wait, v_one.o_wait);
            CONTINUE WHEN v_room = 0;
        END IF;
        v_starts := 0;
        IF (v_turns OR p_alone) AND v_groups IS NULL THEN
            v_groups := @.groups_limited();
        END IF;
        IF p_alone THEN
            v_one := @.want_alone(p_now, v_queues[i], p_kinds, q.group_concurrency, v_groups);
            o_busy := o_busy OR v_one.o_busy;
            o_wait := least(o_wait, v_one.o_wait);
            IF v_one.o_at IS NOT NULL THEN
                v_at := ARRAY[v_one.o_at];
                v_of := ARRAY[v_names[i]];
                v_expired := ARRAY[v_one.o_late];
                v_joined := ARRAY[false];
                v_given := 1;
                v_starts := CASE WHEN v_one.o_late THEN 0 ELSE 1 END;
            END IF;
        ELSIF v_turns THEN
            o_token := coalesce(o_token, @.token_next(p_mint));
            IF cardinality(v_at) > 0 THEN
                v_took := @.want_take(p_now, o_token, p_lease, false, p_worker, v_at, v_of, v_expired, v_joined,
                                                      v_given - cardinality(v_at), false);
                o_bytes := o_bytes || v_took.o_bytes;
                o_numbers := o_numbers || v_took.o_numbers;
                o_ids := o_ids || v_took.o_ids;
                v_at := '{}'; v_of := '{}'; v_expired := '{}'; v_joined := '{}';
            END IF;
            v_took := @.want_turns(p_now, q, p_kinds, v_limit - v_given, v_room, p_bytes, v_used, v_given = 0,
                o_token, p_lease, v_limit = 1 AND NOT p_others, p_worker,
                q.group_concurrency IS NOT NULL OR v_groups, p_share, p_turn_groups[v_places[i]],
                p_turn_sinces[v_places[i]], coalesce(p_turn_givens[v_places[i]], 0), v_given);
            o_bytes := o_bytes || v_took.o_bytes;
            o_numbers := o_numbers || v_took.o_numbers;
            o_ids := o_ids || v_took.o_ids;
            o_more := o_more OR v_took.o_more;
            o_busy := o_busy OR v_took.o_busy;
            o_wait := least(o_wait, v_took.o_wait);
            o_turns := o_turns || ARRAY[v_names[i], v_took.o_group, v_took.o_since];
            o_turn_givens := o_turn_givens || v_took.o_in_turn;
            v_given := v_given + v_took.o_given;
            v_used := v_took.o_used;
            v_starts := v_took.o_starts;
            v_cut := v_took.o_full;
        ELSE
            v_from := o_from[2 + v_places[i]];
            v_all := false;
            LOOP
                IF v_limit = 1 THEN -- the first, whatever its size
                    SELECT ARRAY[j.ctid], ARRAY[coalesce(j.expires_at <= p_now, false)], ARRAY[false],
                           least(j.payload_bytes, p_bytes), false,
                           CASE WHEN j.expires_at <= p_now THEN 0 ELSE 1 END, j.place
                    INTO v_picked, v_late, v_joins, v_sum, v_cut, v_starts, v_first
                    FROM @.job AS j
                    WHERE j.queue = v_queues[i] AND j.shelf = 1 AND j.place >= v_from
                        AND (p_kinds IS NULL OR j.kind = ANY (p_kinds))
                        AND (o_token IS NULL OR j.token IS NULL OR @.fence_of(j.token) < @.fence_of(o_token))
                    ORDER BY j.place, j.n LIMIT 1 FOR UPDATE SKIP LOCKED;
                ELSE
                    v_wants := least(v_limit - v_given, v_room);
                    -- Members are given before the others.
                    IF v_wants >= @FEW AND cardinality(v_at) = 0 AND o_numbers IS NULL THEN
                        v_batch := @.batch_pick(p_now, v_queues[i], v_from, p_kinds, o_token, v_wants);
                    ELSE
                        v_batch := @.want_pick(p_now, v_queues[i], v_from, p_kinds, o_token, v_wants);
                    END IF;
                    v_picked := v_batch.o_at;
                    v_late := v_batch.o_late;
                    v_joins := v_batch.o_plain;
                    v_sum := v_batch.o_sum;
                    v_starts := v_batch.o_starts;
                    v_first := v_batch.o_first;
                    v_all := v_batch.o_all;
                    v_cut := false;
                    IF p_bytes > 0 AND v_sum > p_bytes - v_used THEN
                        v_fits := @.want_fits(v_batch.o_sizes, p_bytes, v_used, v_given = 0);
                        v_sum := v_fits[2];
                        v_cut := v_fits[1] < cardinality(v_picked);
                        IF v_cut THEN
                            v_picked := nullif(v_picked[: v_fits[1]], '{}');
                            v_late := v_late[: v_fits[1]];
                            v_joins := v_joins[: v_fits[1]];
                            v_starts := coalesce(cardinality(array_positions(v_late, false)), 0);
                        END IF;
                    ELSE
                        v_sum := v_used + v_sum;
                    END IF;
                END IF;
                EXIT WHEN v_first IS NOT NULL OR v_from <= @.nowhere() OR p_from[2] = 0;
                v_from := @.nowhere();
            END LOOP;
            o_from[2 + v_places[i]] := least(v_first, p_now - 2000);
            IF v_all AND NOT v_cut THEN
                o_token := coalesce(o_token, @.token_next(p_mint)); -- not before the rows are ours
                PERFORM @.batch_make(p_now, o_token, v_until, p_worker, v_queues[i], v_picked, v_batch.o_ids,
                    v_batch.o_bytes, v_batch.o_numbers, v_batch.o_waits, NULL);
                o_member_ids := o_member_ids || v_batch.o_ids;
                o_member_bytes := o_member_bytes || v_batch.o_bytes;
                o_member_numbers := o_member_numbers || v_batch.o_numbers;
                o_member_queues := o_member_queues || v_names[i];
                o_member_counts := o_member_counts || cardinality(v_picked);
                o_ids := o_ids || v_batch.o_ids;
                v_used := v_sum;
                v_given := v_given + cardinality(v_picked);
            ELSIF v_picked IS NOT NULL THEN
                v_at := v_at || v_picked;
                v_expired := v_expired || v_late;
                v_joined := v_joined || @.batch_joins(v_joins, 0);
                v_of := v_of || array_fill(v_names[i], ARRAY[cardinality(v_picked)]);
                v_used := v_sum;
                v_given := v_given + cardinality(v_picked);
            END IF;
            v_cut := coalesce(v_cut, false);
            o_more := o_more OR v_cut;
        END IF;
        IF v_starts > 0 AND q.rate IS NOT NULL THEN
            PERFORM @.count_starts(1, ARRAY[q.name], ARRAY[q.rate_ms], p_now, ARRAY[v_starts]);
        END IF;
    END LOOP;
    o_from[2] := pg_stat_get_xact_tuples_returned('@.job_shelf'::regclass) - v_met;
    IF v_given = 0 THEN
        o_token := NULL;
        RETURN;
    END IF;
    IF cardinality(v_at) > 0 THEN
        -- Not before the rows are ours: another's claim of one of them would have the higher fence.
        o_token := coalesce(o_token, @.token_next(p_mint));
        v_took := @.want_take(p_now, o_token, p_lease, cardinality(v_at) = v_given AND NOT p_others, p_worker, v_at,
                              v_of, v_expired, v_joined, v_given - cardinality(v_at), false);
        o_bytes := o_bytes || v_took.o_bytes;
        o_numbers := o_numbers || v_took.o_numbers;
        o_ids := o_ids || v_took.o_ids;
    END IF;
    IF o_turns IS NOT NULL AND v_limit > 1 AND cardinality(o_ids) = 1 AND NOT p_others THEN
        o_numbers := @.want_lonely(o_bytes, o_numbers, o_ids[1]);
    END IF;
END $$;

-- What somebody or something has let slip, the oldest first.
CREATE OR REPLACE FUNCTION @.want_overdue(p_now bigint, p_limit integer, p_bytes bigint, p_lease bigint, p_mint bytea,
    OUT o_token uuid, OUT o_more boolean, OUT o_rows @.view[], OUT o_ids uuid[]) LANGUAGE plpgsql AS $$
DECLARE
    j @.job; v @.view;
    v_used bigint := 0; v_looked integer := 0; v_why integer;
    v_more boolean;
    v_members bigint := 0; b @.batch;
BEGIN
    o_more := false;
    -- Members whose lease is over leave, of as many batches as could fill this want.
    FOR b IN
        SELECT x.* FROM @.batch AS x WHERE x.lease_until <= p_now ORDER BY x.lease_until
        FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM @.batch_out(b, 8, NULL);
        v_members := v_members + b.running;
        EXIT WHEN v_members > 2 * p_limit;
    END LOOP;
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
            o_token := @.token_next(p_mint);
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

-- The want of an exchange. p_mode: enum jobq_want_mode. o_busy: nothing was given and nothing kept, because others
-- looked at what is limited; it is to be asked again. p_from, o_from: as of want_due behind the next clock, which
-- o_from has with the number of entries that were met on the way to it. Rows that are due come in o_bytes and
-- o_numbers, behind those that became members of a batch at sight: o_member_*, as the batch has them. Others come in
-- o_rows.
CREATE OR REPLACE FUNCTION @.want(p_client uuid, p_number bigint, p_drop bigint, p_mode integer, p_limit integer,
    p_bytes bigint, p_lease bigint, p_others boolean, p_worker bytea, p_mint bytea, p_queues bytea[], p_kinds bytea[],
    p_share integer, p_turn_groups bytea[], p_turn_sinces bytea[], p_turn_givens bigint[], p_from bigint[],
    OUT said @.want_answer)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    v_receipt @.receipt;
    v_opened bigint[];
    v_wait bigint;
    v_got record;
    v_next bigint[];
BEGIN
    -- Who sets a limit waits for us, or we for who does: functions/limits.sql.
    IF p_mode <> 2 AND NOT pg_try_advisory_xact_lock_shared(@LOCK + 5) THEN
        PERFORM pg_advisory_xact_lock_shared(@LOCK + 5);
    END IF;
    v_opened := @.opened(p_client, p_number, 1);
    said.o_now := v_opened[1];
    said.o_repeat := false;
    IF v_opened[2] IS NOT NULL THEN
        IF v_opened[2] > p_number THEN
            RAISE EXCEPTION 'this request was given up' USING ERRCODE = 'JQ002';
        ELSE
            SELECT * INTO v_receipt FROM @.receipt AS r WHERE r.client = p_client AND r.number = p_number
                AND (r.part = 1 OR r.part = 0 AND r.more IS NOT NULL); -- of a short way
            -- Those that are still held, with the rest of their lease.
            said.o_repeat := true;
            said.o_token := v_receipt.token;
            said.o_more := coalesce(v_receipt.more, false);
            SELECT array_agg(@.show(j, 1, CASE WHEN j.flags & 128 <> 0 THEN 1 WHEN j.flags & 256 <> 0 THEN 2 ELSE 0 END)
                             ORDER BY array_position(v_receipt.ids, j.id)) INTO said.o_rows
            FROM (
                SELECT k.* FROM unnest(v_receipt.ids) AS u(id) JOIN @.job AS k ON k.id = u.id
                UNION ALL SELECT m.* FROM @.members_of(v_receipt.ids) AS m) AS j
            WHERE j.state = 3 AND j.outcome = 0 AND j.token = said.o_token;
            v_next := @.next_due(said.o_now, NULL);
            said.o_next_due := v_next[1];
            said.o_next_tick := v_next[2];
            RETURN;
        END IF;
    END IF;
    IF p_mode = 2 THEN
        v_got := @.want_overdue(said.o_now, p_limit, p_bytes, p_lease, p_mint);
        said.o_rows := v_got.o_rows;
    ELSE
        v_got := @.want_due(said.o_now, p_mode = 3, p_limit, p_bytes, p_lease, p_others, p_worker, p_mint,
            p_queues, p_kinds, p_share, p_turn_groups, p_turn_sinces, p_turn_givens, p_from[2:], v_opened[3]);
        said.o_bytes := v_got.o_bytes;
        said.o_numbers := v_got.o_numbers;
        said.o_member_ids := v_got.o_member_ids;
        said.o_member_bytes := v_got.o_member_bytes;
        said.o_member_numbers := v_got.o_member_numbers;
        said.o_member_queues := v_got.o_member_queues;
        said.o_member_counts := v_got.o_member_counts;
        said.o_busy := v_got.o_busy AND v_got.o_token IS NULL;
        said.o_more := v_got.o_busy;
        said.o_turns := v_got.o_turns;
        said.o_turns_given := v_got.o_turn_givens;
        v_wait := v_got.o_wait;
        said.o_from := v_got.o_from;
    END IF;
    said.o_token := v_got.o_token;
    said.o_more := v_got.o_more OR coalesce(said.o_more, false);
    IF p_number > 0 AND NOT coalesce(said.o_busy, false) THEN
        IF said.o_token IS NULL AND said.o_rows IS NULL THEN -- nothing that must outlive a crash
            PERFORM set_config('synchronous_commit', 'off', true);
        END IF;
        INSERT INTO @.receipt (client, number, part, items, ids, token, more)
        VALUES (p_client, p_number, 1, '{}', coalesce(v_got.o_ids, '{}'), said.o_token, said.o_more);
    END IF;
    IF p_number > 0 AND p_drop > 0 THEN
        DELETE FROM @.receipt AS r WHERE r.client = p_client AND r.number = p_drop;
    END IF;
    v_next := @.next_due(said.o_now, CASE WHEN p_mode <> 2 THEN p_from[1] END);
    said.o_from := ARRAY[coalesce(v_next[3], 0), coalesce(v_next[4], 0)] || said.o_from;
    said.o_next_due := v_next[1];
    said.o_next_tick := v_next[2];
    IF v_wait IS NOT NULL THEN
        said.o_next_due := least(said.o_next_due, @.add(said.o_now, v_wait));
    END IF;
    IF p_mode = 2 AND said.o_next_tick <= said.o_now THEN
        SELECT x.o_names, x.o_bytes, x.o_nums INTO said.o_tick_names, said.o_tick_bytes, said.o_tick_nums
            FROM @.ticks_due(said.o_now) AS x;
    END IF;
END $$;
