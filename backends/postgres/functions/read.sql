-- SPDX-License-Identifier: MIT
-- Rows by ids, in this order, as far as payload and result fit into p_bytes (0: all), one at least.
CREATE OR REPLACE FUNCTION @.read_rows(p_ids uuid[], p_flags integer, p_bytes bigint) RETURNS @.view[] LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $$
DECLARE v_rows @.view[];
BEGIN
    WITH here AS MATERIALIZED (
        SELECT u.id, u.i, false AS member, NULL::@.job AS m,
            CASE WHEN p_flags & 1 <> 0 THEN k.payload_bytes ELSE 0 END
                + CASE WHEN p_flags & 2 <> 0 THEN coalesce(octet_length(k.result), 0) ELSE 0 END AS size
        FROM unnest(p_ids) WITH ORDINALITY AS u(id, i) JOIN @.job AS k ON k.id = u.id
    )
    SELECT array_agg(@.show(CASE WHEN x.member THEN x.m ELSE j END, p_flags, 0) ORDER BY x.i) INTO v_rows FROM (
        SELECT y.*, sum(y.size) OVER (ORDER BY y.i) AS used, min(y.i) OVER () AS first FROM (
            SELECT h.* FROM here AS h
            UNION ALL
            SELECT m.id, u.i, true, m, CASE WHEN p_flags & 1 <> 0 THEN m.payload_bytes ELSE 0 END
            FROM @.members_of(CASE WHEN (SELECT count(*) FROM here) < cardinality(p_ids) THEN p_ids END) AS m
            CROSS JOIN LATERAL unnest(array_positions(p_ids, m.id)) AS u(i)) AS y) AS x
    LEFT JOIN @.job AS j ON NOT x.member AND j.id = x.id
    WHERE p_bytes = 0 OR x.used <= p_bytes OR x.i = x.first;
    RETURN v_rows;
END $$;

-- Reading rows: by ids in the order asked, or by a filter, ascending by id. p_states: bits of stored states; p_waiting:
-- 0 all, 1 ready, 2 scheduled; p_before: not younger than so many ms (0: all); p_bytes: of payload and result (0: no
-- bound). What it looks for is a row of [job] or a member of a batch, and may go from one to the other at any moment:
-- so each statement looks at both.
CREATE OR REPLACE FUNCTION @.read(p_ids uuid[], p_after uuid, p_limit bigint, p_bytes bigint, p_flags integer,
    p_queue bytea, p_kind bytea, p_tenant bytea, p_states integer, p_waiting integer, p_reason integer, p_before bigint,
    OUT o_now bigint, OUT o_rows @.view[])
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    v_found uuid[];
    v_queue integer := (SELECT q.id FROM @.queue AS q WHERE q.name = p_queue);
    v_before bigint;
BEGIN
    o_now := @.clock();
    v_before := CASE WHEN p_before > 0 THEN @.add(o_now, -p_before) END;
    IF p_ids IS NOT NULL THEN
        v_found := p_ids;
    ELSIF p_queue IS NOT NULL AND v_queue IS NULL THEN
        v_found := '{}';
    ELSIF p_states & ~112 = 0 AND v_queue IS NOT NULL THEN
        -- Ended rows have an index of their own, and are few beside a backlog.
        v_found := ARRAY(
            (SELECT j.id FROM @.job AS j
             WHERE j.queue = v_queue AND j.finished_at IS NOT NULL AND j.state = ANY (ARRAY[4, 5, 6])
                AND j.id > p_after AND 1 << j.state & p_states <> 0 AND (p_kind IS NULL OR j.kind = p_kind)
                AND (p_tenant IS NULL OR j.tenant = p_tenant) AND (p_reason = 0 OR j.reason = p_reason)
                AND (v_before IS NULL OR j.finished_at <= v_before)
             ORDER BY j.id LIMIT p_limit)
            UNION ALL
            SELECT m.id FROM @.members_like(v_queue, p_states, p_after, p_kind, p_tenant, p_reason, v_before,
                p_limit) AS m
            ORDER BY id LIMIT p_limit);
    ELSIF p_states = 8 THEN
        v_found := ARRAY(
            (SELECT j.id FROM @.job AS j
             WHERE j.state = 3 AND j.id > p_after AND (v_queue IS NULL OR j.queue = v_queue)
                AND (p_kind IS NULL OR j.kind = p_kind) AND (p_tenant IS NULL OR j.tenant = p_tenant)
                AND (p_reason = 0 OR j.reason = p_reason) AND (v_before IS NULL OR j.created_at <= v_before)
             ORDER BY j.id LIMIT p_limit)
            UNION ALL
            SELECT m.id FROM @.members_like(v_queue, p_states, p_after, p_kind, p_tenant, p_reason, v_before,
                p_limit) AS m
            ORDER BY id LIMIT p_limit);
    ELSE
        v_found := ARRAY(
            (SELECT j.id FROM @.job AS j
             WHERE j.id > p_after AND 1 << j.state & p_states <> 0 AND (v_queue IS NULL OR j.queue = v_queue)
                AND (p_waiting = 0 OR j.state <> 2 OR (j.run_at <= o_now) = (p_waiting = 1))
                AND (p_kind IS NULL OR j.kind = p_kind) AND (p_tenant IS NULL OR j.tenant = p_tenant)
                AND (p_reason = 0 OR j.reason = p_reason)
                AND (v_before IS NULL OR coalesce(j.finished_at, j.created_at) <= v_before)
             ORDER BY j.id LIMIT p_limit)
            UNION ALL
            SELECT m.id FROM @.members_like(v_queue, p_states, p_after, p_kind, p_tenant, p_reason, v_before,
                p_limit) AS m
            ORDER BY id LIMIT p_limit);
    END IF;
    o_rows := @.read_rows(v_found, p_flags, p_bytes);
END $$;
