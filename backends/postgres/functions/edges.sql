-- SPDX-License-Identifier: MIT
-- Who waits for whom.

-- Open edges of a parent: more or less of them. An ended row with open edges is overdue since it ended.
CREATE OR REPLACE FUNCTION @.children(p_parents uuid[], p_more integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM @.rows_lock(p_parents);
    UPDATE @.job AS j SET children = j.children + p_more,
        clock = CASE WHEN j.finished_at IS NULL THEN j.clock WHEN j.children + p_more > 0 THEN j.finished_at END
    WHERE j.id = ANY (p_parents);
END $$;

-- A new row waits for these, which whoever calls has locked; the first rule of each counts. How many do not let it go
-- at once?
CREATE OR REPLACE FUNCTION @.edges_put(p_child uuid, p_parents uuid[], p_rules integer[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE v_open uuid[];
BEGIN
    WITH named AS (
        SELECT DISTINCT ON (u.parent) u.parent, u.rule
            FROM unnest(p_parents, p_rules) WITH ORDINALITY AS u(parent, rule, i)
        ORDER BY u.parent, u.i
    ), put AS (
        INSERT INTO @.edge (child, parent, rule, hard, open)
        SELECT p_child, n.parent, n.rule, n.rule <> 2, true FROM named AS n JOIN @.job AS p ON p.id = n.parent
        WHERE NOT (p.state = 4 OR n.rule = 2 AND p.state IN (5, 6))
        RETURNING parent
    )
    SELECT array_agg(put.parent) INTO v_open FROM put;
    IF v_open IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM @.children(v_open, 1);
    RETURN cardinality(v_open);
END $$;

-- Kept edges are open again, but for parents that let go by now; how many are open?
CREATE OR REPLACE FUNCTION @.edges_reopen(p_child uuid) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE v_open uuid[];
BEGIN
    PERFORM @.rows_lock(ARRAY(SELECT e.parent FROM @.edge AS e WHERE e.child = p_child AND NOT e.open));
    DELETE FROM @.edge AS e WHERE e.child = p_child AND NOT e.open AND NOT EXISTS (
        SELECT 1 FROM @.job AS p WHERE p.id = e.parent AND NOT (p.state = 4 OR e.rule = 2 AND p.state IN (5, 6)));
    WITH again AS (
        UPDATE @.edge AS e SET open = true WHERE e.child = p_child AND NOT e.open RETURNING e.parent
    )
    SELECT array_agg(again.parent) INTO v_open FROM again;
    IF v_open IS NOT NULL THEN
        PERFORM @.children(v_open, 1);
    END IF;
    RETURN (SELECT count(*) FROM @.edge AS e WHERE e.child = p_child);
END $$;

-- The child waits for nobody any more. kept: the edges stay, closed.
CREATE OR REPLACE FUNCTION @.edges_close(p_child uuid, p_keep boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_open uuid[];
BEGIN
    WITH shut AS (
        UPDATE @.edge AS e SET open = false WHERE e.child = p_child AND e.open RETURNING e.parent
    )
    SELECT array_agg(shut.parent) INTO v_open FROM shut;
    IF v_open IS NOT NULL THEN
        PERFORM @.children(v_open, -1);
    END IF;
    IF NOT p_keep THEN
        DELETE FROM @.edge AS e WHERE e.child = p_child;
    END IF;
END $$;

-- A row has ended: at most 64 of those who wait for it and need no decision have one parent less. Without any left they
-- wait for their turn.
CREATE OR REPLACE FUNCTION @.edges_resolve(p_parent uuid, p_state integer, p_now bigint, OUT o_more boolean,
    OUT o_woke boolean, OUT o_left boolean) LANGUAGE plpgsql AS $$
DECLARE v_children uuid[]; v_freed uuid[]; v_place bigint;
BEGIN
    SELECT array_agg(x.child ORDER BY x.hard, x.child) INTO v_children FROM (
        SELECT e.child, e.hard FROM @.edge AS e WHERE e.parent = p_parent AND e.open AND (p_state = 4 OR NOT e.hard)
        ORDER BY e.hard, e.child LIMIT 65) AS x;
    o_more := coalesce(cardinality(v_children) > 64, false);
    o_woke := false;
    IF v_children IS NOT NULL THEN
        v_children := v_children[1:64];
        PERFORM 1 FROM @.job AS j WHERE j.id = ANY (v_children) ORDER BY j.id FOR UPDATE;
        DELETE FROM @.edge AS e WHERE e.parent = p_parent AND e.child = ANY (v_children);
        WITH freed AS (
            UPDATE @.job AS j SET pending = 0, state = 2, reason = 0, run_at = greatest(j.run_at, p_now),
                shelf = CASE WHEN j.run_at > p_now THEN 3 ELSE @.shelf_due(j.flags, j.tenant) END,
                place = CASE WHEN j.run_at > p_now THEN j.run_at ELSE @.add(p_now, j.rank_add) END,
                clock = j.expires_at
            WHERE j.id = ANY (v_children) AND j.state = 1 AND j.pending <= 1 AND j.flags & 1 = 0
            RETURNING j.id, j.queue, j.shelf, j.place
        ), fewer AS (
            UPDATE @.job AS j SET pending = greatest(j.pending - 1, 0)
            WHERE j.id = ANY (v_children) AND NOT (j.state = 1 AND j.pending <= 1 AND j.flags & 1 = 0)
        ), counted AS (
            INSERT INTO @.tally SELECT f.queue, 1, @.place_of(2, f.shelf), count(*) FROM freed AS f GROUP BY 1, 3
        )
        SELECT count(*) > 0, array_agg(f.id), min(f.place) INTO o_woke, v_freed, v_place FROM freed AS f;
        PERFORM @.jump_before(v_place, p_now);
        IF o_woke AND @.told() THEN
            PERFORM @.tell(p_now, ARRAY(SELECT u.id FROM unnest(v_children) WITH ORDINALITY AS u(id, i)
                                        WHERE u.id = ANY (v_freed) ORDER BY u.i));
        END IF;
        PERFORM @.children(ARRAY[p_parent], -cardinality(v_children));
    END IF;
    SELECT j.children > 0 INTO o_left FROM @.job AS j WHERE j.id = p_parent;
    o_woke := o_woke OR coalesce(o_left, false);
END $$;
