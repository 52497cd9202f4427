-- SPDX-License-Identifier: MIT
-- Groups in turn, and rows that run alone.

-- The first by rank that no limit of its group forbids, passing by at most 64.
CREATE OR REPLACE FUNCTION @.want_alone(p_now bigint, p_queue integer, p_kinds bytea[], p_here bigint, p_groups boolean,
    OUT o_at tid, OUT o_late boolean, OUT o_busy boolean, OUT o_wait bigint) LANGUAGE plpgsql AS $$
DECLARE
    v_passed integer := 0;
    v_limited boolean;
    v_lane record;
    r record;
BEGIN
    o_busy := false;
    FOR r IN
        SELECT j.ctid AS at, j.tenant, coalesce(j.expires_at <= p_now, false) AS late FROM @.job AS j
        WHERE j.queue = p_queue AND j.shelf = 2 AND (p_kinds IS NULL OR j.kind = ANY (p_kinds)) ORDER BY j.place, j.n
    LOOP
        v_limited := coalesce(r.tenant <> '', false) AND (p_groups OR p_here IS NOT NULL);
        IF v_limited THEN
            v_lane := @.lanes_look(p_now, p_queue, ARRAY[r.tenant], p_here, NULL);
            o_busy := o_busy OR v_lane.o_busy;
            o_wait := least(o_wait, v_lane.o_wait);
            IF v_lane.o_rooms[1] = 0 THEN
                v_passed := v_passed + 1;
                EXIT WHEN v_passed > 64;
                CONTINUE;
            END IF;
        END IF;
        PERFORM 1 FROM @.job AS j WHERE j.ctid = r.at AND j.shelf = 2 FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        o_at := r.at;
        o_late := r.late;
        IF v_limited AND NOT r.late THEN
            PERFORM @.count_starts(2, ARRAY[r.tenant], v_lane.o_periods, p_now, ARRAY[1::bigint]);
        END IF;
        EXIT;
    END LOOP;
END $$;

-- The next group with due rows in the circle; no bytes: the rows without one; NULL: there are none. given: a turn was
-- cut short.
CREATE OR REPLACE FUNCTION @.turn_next(p_queue integer, p_group bytea, p_given bigint) RETURNS bytea
    LANGUAGE plpgsql AS $$
DECLARE v_group bytea;
BEGIN
    IF p_given > 0 AND p_group <> '' THEN
        SELECT j.tenant INTO v_group FROM @.job AS j WHERE j.queue = p_queue AND j.shelf = 4 AND j.tenant >= p_group
        ORDER BY j.tenant LIMIT 1;
    ELSIF p_given = 0 AND p_group IS NOT NULL THEN
        SELECT j.tenant INTO v_group FROM @.job AS j WHERE j.queue = p_queue AND j.shelf = 4 AND j.tenant > p_group
        ORDER BY j.tenant LIMIT 1;
    END IF;
    IF v_group IS NULL THEN
        IF EXISTS (SELECT 1 FROM @.job AS j WHERE j.queue = p_queue AND j.shelf = 1) THEN
            RETURN '';
        END IF;
        SELECT j.tenant INTO v_group FROM @.job AS j WHERE j.queue = p_queue AND j.shelf = 4 ORDER BY j.tenant LIMIT 1;
    END IF;
    RETURN v_group;
END $$;

-- Rows of a group by rank, locked, but those given before, and those that another claimed and gave back since our token
-- was made: its fence is above ours. {place in the table, late} of each that fits into what is left of `bytes`. o_full:
-- a row more was there, and no room for it; o_more: because of its bytes.
CREATE OR REPLACE FUNCTION @.turn_pick(p_now bigint, p_queue integer, p_group bytea, p_kinds bytea[], p_given tid[],
    p_most bigint, p_left integer, p_bytes bigint, p_used bigint, p_first boolean, p_fence bytea, OUT o_at tid[],
    OUT o_late boolean[], OUT o_plain boolean[], OUT o_used bigint, OUT o_full boolean, OUT o_more boolean)
    LANGUAGE plpgsql AS $$
DECLARE r record; v_limit bigint := least(p_most, p_left + 1);
BEGIN
    o_at := '{}';
    o_late := '{}';
    o_plain := '{}';
    o_used := p_used;
    o_full := false;
    o_more := false;
    FOR r IN
        SELECT x.* FROM (
            SELECT j.ctid AS at, j.payload_bytes AS size, coalesce(j.expires_at <= p_now, false) AS late,
                @.is_plain(j) AS plain, j.place, j.n
            FROM @.job AS j
            WHERE p_group = '' AND j.queue = p_queue AND j.shelf = 1 AND (p_kinds IS NULL OR j.kind = ANY (p_kinds))
                AND j.ctid <> ALL (p_given) AND (j.token IS NULL OR @.fence_of(j.token) < p_fence)
            ORDER BY j.place, j.n LIMIT CASE WHEN p_group = '' THEN v_limit ELSE 0 END FOR UPDATE SKIP LOCKED) AS x
        UNION ALL
        SELECT y.* FROM (
            SELECT j.ctid, j.payload_bytes, coalesce(j.expires_at <= p_now, false), @.is_plain(j), j.place, j.n
            FROM @.job AS j
            WHERE j.queue = p_queue AND j.shelf = 4 AND j.tenant = p_group
                AND (p_kinds IS NULL OR j.kind = ANY (p_kinds))
                AND j.ctid <> ALL (p_given) AND (j.token IS NULL OR @.fence_of(j.token) < p_fence)
            ORDER BY j.place, j.n LIMIT CASE WHEN p_group = '' THEN 0 ELSE v_limit END FOR UPDATE SKIP LOCKED) AS y
    LOOP
        o_full := cardinality(o_at) = p_left;
        IF NOT o_full AND p_bytes > 0 AND r.size > p_bytes - o_used AND NOT (p_first AND cardinality(o_at) = 0) THEN
            o_full := true;
            o_more := true;
        END IF;
        EXIT WHEN o_full;
        o_at := o_at || r.at;
        o_late := o_late || r.late;
        o_plain := o_plain || r.plain;
        o_used := least(o_used + r.size, CASE WHEN p_bytes > 0 THEN p_bytes ELSE o_used + r.size END);
    END LOOP;
END $$;

-- The same of many groups at once: the next p_wide of the circle, as far as it rises, and of each at most p_share.
-- o_of: whose each row is, by number; o_sum: bytes of all. o_groups is NULL where the circle begins again. p_mine: as
-- in lanes_members.
CREATE OR REPLACE FUNCTION @.turns_pick(p_now bigint, q @.queue, p_group bytea, p_wide bigint, p_share integer,
    p_limits boolean, p_kinds bytea[], p_given tid[], p_fence bytea, p_mine bytea[],
    OUT o_groups bytea[], OUT o_at tid[], OUT o_late boolean[], OUT o_plain boolean[], OUT o_of integer[],
    OUT o_sum bigint, OUT o_busy boolean, OUT o_wait bigint, OUT o_periods bigint[]) LANGUAGE plpgsql AS $$
DECLARE v_lanes record; v_rooms bigint[];
BEGIN
    WITH RECURSIVE circle(name, i) AS (
        (SELECT j.tenant, 1 FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 4 AND j.tenant > p_group
         ORDER BY j.tenant LIMIT 1)
        UNION ALL
        SELECT x.tenant, c.i + 1 FROM circle AS c CROSS JOIN LATERAL (
            SELECT j.tenant FROM @.job AS j WHERE j.queue = q.id AND j.shelf = 4 AND j.tenant > c.name
            ORDER BY j.tenant LIMIT 1) AS x
        WHERE c.i < p_wide
    )
    SELECT array_agg(c.name) INTO o_groups FROM circle AS c;
    IF o_groups IS NULL THEN
        RETURN;
    END IF;
    IF p_limits THEN
        v_lanes := @.lanes_look(p_now, q.id, o_groups, q.group_concurrency, p_mine);
        v_rooms := v_lanes.o_rooms;
        o_busy := v_lanes.o_busy;
        o_wait := v_lanes.o_wait;
        o_periods := v_lanes.o_periods;
    END IF;
    SELECT array_agg(x.at), array_agg(x.late), array_agg(x.plain), array_agg(u.i::integer),
        least(coalesce(sum(x.size), 0), 9223372036854775807)
    INTO o_at, o_late, o_plain, o_of, o_sum
    FROM unnest(o_groups, v_rooms) WITH ORDINALITY AS u(name, room, i) CROSS JOIN LATERAL (
        SELECT j.ctid AS at, j.payload_bytes AS size, coalesce(j.expires_at <= p_now, false) AS late,
            @.is_plain(j) AS plain
        FROM @.job AS j
        WHERE j.queue = q.id AND j.shelf = 4 AND j.tenant = u.name AND (p_kinds IS NULL OR j.kind = ANY (p_kinds))
            AND j.ctid <> ALL (p_given) AND (j.token IS NULL OR @.fence_of(j.token) < p_fence)
        ORDER BY j.place, j.n LIMIT least(p_share, u.room) FOR UPDATE SKIP LOCKED) AS x;
END $$;

-- Rows of groups that turns_pick has are given: how many of them start?
CREATE OR REPLACE FUNCTION @.turn_give(p_now bigint, p_groups bytea[], p_periods bigint[], p_of integer[],
    p_late boolean[]) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    IF array_remove(p_periods, NULL) <> '{}' THEN
        PERFORM @.count_starts(2, p_groups, p_periods, p_now, ARRAY(
            SELECT count(u.of) FROM generate_series(1, cardinality(p_groups)) AS i
            LEFT JOIN unnest(p_of, p_late) AS u(of, late) ON u.of = i AND NOT u.late GROUP BY i ORDER BY i));
    END IF;
    RETURN cardinality(array_positions(p_late, false));
END $$;

-- A visit of a queue whose due rows have groups: struct jobq_turn. p_left: rows that the want has room for, p_room:
-- that the queue's limits let start (NULL: any number), p_limits: groups may have some here; p_group, p_since,
-- p_in_turn: its place.
CREATE OR REPLACE FUNCTION @.want_turns(p_now bigint, q @.queue, p_kinds bytea[], p_left integer, p_room bigint,
    p_bytes bigint, p_used bigint, p_first boolean, p_token uuid, p_lease bigint, p_lonely boolean, p_worker bytea,
    p_limits boolean, p_share integer, p_group bytea, p_since bytea, p_in_turn bigint, p_before integer,
    OUT o_bytes bytea[], OUT o_numbers bigint[], OUT o_ids uuid[], OUT o_given integer, OUT o_starts bigint,
    OUT o_used bigint, OUT o_full boolean, OUT o_more boolean, OUT o_busy boolean, OUT o_wait bigint, OUT o_group bytea,
    OUT o_since bytea, OUT o_in_turn bigint)
LANGUAGE plpgsql AS $$
DECLARE
    v_group bytea; v_goes_on boolean; v_wraps boolean; v_wrapped boolean; v_cut boolean;
    v_most bigint; v_room bigint := p_room; v_looks integer := 0; v_count integer; v_began integer; v_last integer;
    v_share integer := greatest(p_share, 1); v_wide bigint; v_narrow boolean := false; v_periods bigint[];
    v_late tid[] := '{}';
    -- picked and not claimed yet: of groups behind each other in the circle, each of them once
    v_at tid[] := '{}'; v_at_late boolean[] := '{}'; v_at_plain boolean[] := '{}'; v_done boolean := false;
    -- claimed and out of [job], to be members of one batch
    v_ids uuid[] := '{}'; v_bytes bytea[]; v_numbers bigint[]; v_waits bigint[]; v_tenants bytea[];
    v_lane record; v_pick record; v_took record;
BEGIN
    o_given := 0; o_starts := 0; o_used := p_used; o_full := false; o_more := false; o_busy := false;
    o_group := p_group; o_since := p_since; o_in_turn := p_in_turn;
    LOOP
        v_done := v_done OR o_full OR o_given >= p_left OR coalesce(v_room <= 0, false);

        -- Many groups at once where each has its turn and all that they give has room, whatever it will be.
        v_wide := least(64 - v_looks, (p_left - o_given) / v_share, v_room / v_share);
        IF NOT v_done AND NOT v_narrow AND v_wide > 1 AND o_in_turn = 0 AND o_group IS NOT NULL
            AND (o_since IS NULL OR o_group >= o_since) THEN
            v_pick := @.turns_pick(p_now, q, o_group, v_wide, v_share, p_limits, p_kinds, v_late, @.fence_of(p_token),
                v_tenants);
            -- Which of them fit is found one by one.
            v_narrow := p_bytes > 0 AND coalesce(v_pick.o_sum, 0) > p_bytes - o_used;
            IF v_pick.o_groups IS NOT NULL AND NOT v_narrow THEN
                v_count := coalesce(cardinality(v_pick.o_at), 0);
                v_last := 0; -- the last that gave
                o_busy := o_busy OR coalesce(v_pick.o_busy, false);
                o_wait := least(o_wait, v_pick.o_wait);
                IF v_count > 0 THEN
                    v_last := v_pick.o_of[v_count];
                    v_looks := 0;
                    o_since := NULL;
                    v_began := @.turn_give(p_now, v_pick.o_groups, v_pick.o_periods, v_pick.o_of, v_pick.o_late);
                    v_at := v_at || v_pick.o_at;
                    v_at_late := v_at_late || v_pick.o_late;
                    v_at_plain := v_at_plain || v_pick.o_plain;
                    IF v_began < v_count THEN
                        v_late := v_late || ARRAY(SELECT u.at FROM unnest(v_pick.o_at, v_pick.o_late) AS u(at, late)
                            WHERE u.late);
                    END IF;
                    o_given := o_given + v_count;
                    o_starts := o_starts + v_began;
                    o_used := o_used + v_pick.o_sum;
                    v_room := v_room - v_count;
                END IF;
                IF v_last < cardinality(v_pick.o_groups) THEN
                    o_since := coalesce(o_since, v_pick.o_groups[v_last + 1]);
                    v_looks := v_looks + cardinality(v_pick.o_groups) - v_last;
                END IF;
                o_group := v_pick.o_groups[cardinality(v_pick.o_groups)];
                CONTINUE;
            END IF;
        END IF;

        IF NOT v_done THEN
            v_group := @.turn_next(q.id, o_group, o_in_turn);
        END IF;
        -- What was picked is claimed before anybody can meet it again, and then the circle is looked at anew.
        IF cardinality(v_at) > 0 AND (v_done OR v_group IS NULL OR v_group <= o_group) THEN
            v_took := @.want_take(p_now, p_token, p_lease, p_lonely, p_worker, v_at,
                array_fill(q.name, ARRAY[cardinality(v_at)]), v_at_late,
                @.batch_joins(v_at_plain, o_given - cardinality(v_at)), p_before + coalesce(array_length(o_numbers, 1), 0),
                true);
            v_ids := v_ids || v_took.o_members;
            v_bytes := v_bytes || v_took.o_put_bytes;
            v_numbers := v_numbers || v_took.o_put_numbers;
            v_waits := v_waits || v_took.o_waits;
            v_tenants := v_tenants || v_took.o_tenants;
            o_bytes := o_bytes || v_took.o_bytes;
            o_numbers := o_numbers || v_took.o_numbers;
            o_ids := o_ids || v_took.o_ids;
            v_at := '{}';
            v_at_late := '{}';
            v_at_plain := '{}';
            CONTINUE;
        END IF;
        EXIT WHEN v_done OR v_group IS NULL;

        -- may it give, and how many?
        v_goes_on := o_in_turn > 0 AND o_group = v_group;
        v_wraps := v_group <= o_group;
        v_wrapped := o_group < o_since;
        IF v_goes_on THEN
            v_most := greatest(greatest(p_share, 1) - o_in_turn, 1);
        ELSIF (v_wraps AND v_wrapped) OR (v_wraps OR v_wrapped) AND v_group >= o_since THEN
            o_since := NULL; -- the round is whole
            v_done := true;
            CONTINUE;
        ELSIF v_looks >= 64 THEN
            o_more := true;
            v_done := true;
            CONTINUE;
        ELSE
            v_most := greatest(p_share, 1);
        END IF;

        -- may it start?
        v_periods := NULL;
        IF p_limits AND v_group <> '' THEN
            v_lane := @.lanes_look(p_now, q.id, ARRAY[v_group], q.group_concurrency, v_tenants);
            v_periods := v_lane.o_periods;
            o_busy := o_busy OR v_lane.o_busy;
            o_wait := least(o_wait, v_lane.o_wait);
            v_most := least(v_most, v_lane.o_rooms[1]);
        END IF;
        v_most := least(v_most, v_room);

        -- it gives
        v_count := 0;
        IF v_most > 0 THEN
            v_pick := @.turn_pick(p_now, q.id, v_group, p_kinds, v_late, v_most, p_left - o_given, p_bytes, o_used,
                                                  p_first AND o_given = 0, @.fence_of(p_token));
            v_count := cardinality(v_pick.o_at);
            o_used := v_pick.o_used;
            o_full := v_pick.o_full;
            o_more := o_more OR v_pick.o_more;
        END IF;
        IF v_count > 0 THEN
            v_at := v_at || v_pick.o_at;
            v_at_late := v_at_late || v_pick.o_late;
            v_at_plain := v_at_plain || v_pick.o_plain;
            v_began := cardinality(array_positions(v_pick.o_late, false));
            IF v_began < v_count THEN
                v_late := v_late || ARRAY(SELECT u.at FROM unnest(v_pick.o_at, v_pick.o_late) AS u(at, late)
                    WHERE u.late);
            END IF;
            o_given := o_given + v_count;
            o_starts := o_starts + v_began;
            v_room := v_room - v_count;
            IF v_periods IS NOT NULL THEN
                PERFORM @.count_starts(2, ARRAY[v_group], v_periods, p_now, ARRAY[v_began::bigint]);
            END IF;
        END IF;

        -- where the circle stands now; a want without room is not the group's fault
        v_cut := o_full OR coalesce(v_room = 0, false);
        CONTINUE WHEN v_cut AND v_count = 0;
        o_in_turn := CASE WHEN v_goes_on THEN o_in_turn ELSE 0 END + v_count;
        IF NOT v_cut OR o_in_turn >= p_share THEN
            o_in_turn := 0;
        END IF;
        o_group := v_group;
        IF v_count > 0 THEN
            o_since := NULL;
            v_looks := 0;
        ELSE
            o_since := coalesce(o_since, v_group);
            v_looks := v_looks + 1;
        END IF;
    END LOOP;
    IF v_ids <> '{}' THEN
        PERFORM @.batch_make(p_now, p_token, @.add(p_now, p_lease), p_worker, q.id, NULL, v_ids, v_bytes,
            v_numbers, v_waits, nullif(v_tenants, array_fill(NULL::bytea, ARRAY[cardinality(v_ids)])));
    END IF;
END $$;

-- Of several looks one row came in the end: it ran alone. Its flags are the 14th number.
CREATE OR REPLACE FUNCTION @.want_lonely(p_bytes bytea[], p_numbers bigint[], p_id uuid) RETURNS bigint[]
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE @.job AS j SET flags = j.flags | 4 WHERE j.id = p_id AND j.flags & 4 = 0;
    FOR i IN 1 .. array_length(p_bytes, 1) LOOP
        IF p_bytes[i][1] = uuid_send(p_id) THEN
            p_numbers[i][14] := coalesce(p_numbers[i][14], 0) | 4;
        END IF;
    END LOOP;
    RETURN p_numbers;
END $$;
