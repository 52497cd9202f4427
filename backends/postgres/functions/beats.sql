-- SPDX-License-Identifier: MIT
-- Heartbeats. p_from, p_to: the tokens meant, both ends included; p_nums: {flags, lease} of each.
CREATE OR REPLACE FUNCTION @.beats(p_now bigint, p_from uuid[], p_to uuid[], p_nums bigint[],
    OUT o_held bigint[], OUT o_marks @.view[], OUT o_mark_at integer[], OUT o_woke boolean) LANGUAGE plpgsql AS $$
DECLARE v_back uuid[]; v_held bigint; v_members bigint; v_marks @.view[]; v_batch @.batch;
BEGIN
    o_held := '{}';
    o_woke := false;
    FOR i IN 1 .. cardinality(p_from) LOOP
        -- Members first: what is given back leaves, what is kept has nothing but the end of its lease.
        IF p_nums[2 * i - 1] & 1 <> 0 THEN
            FOR v_batch IN
                SELECT x.* FROM @.batch AS x WHERE x.token BETWEEN p_from[i] AND p_to[i] AND x.running > 0
                ORDER BY x.token, x.queue FOR UPDATE
            LOOP
                PERFORM @.batch_out(v_batch, 8, NULL);
            END LOOP;
        ELSE
            WITH kept AS (
                UPDATE @.batch AS x SET lease_until = greatest(x.lease_until, @.add(p_now, p_nums[2 * i]))
                FROM (SELECT y.token, y.queue FROM @.batch AS y
                      WHERE y.token BETWEEN p_from[i] AND p_to[i] AND y.running > 0
                      ORDER BY y.token, y.queue FOR UPDATE) AS z
                WHERE x.token = z.token AND x.queue = z.queue RETURNING x.running
            )
            SELECT sum(k.running) INTO v_members FROM kept AS k;
        END IF;
        PERFORM 1 FROM @.job AS j WHERE j.state = 3 AND j.token BETWEEN p_from[i] AND p_to[i] ORDER BY j.id FOR UPDATE;
        IF p_nums[2 * i - 1] & 1 <> 0 THEN
            WITH back AS (
                UPDATE @.job AS j SET state = 2, reason = 0, outcome = 3, lease_until = NULL, stop_at = NULL,
                    releases = CASE WHEN j.releases < 2147483647 THEN j.releases + 1 ELSE j.releases END,
                    shelf = CASE WHEN j.run_at > p_now THEN 3 ELSE @.shelf_due(j.flags, j.tenant) END,
                    place = CASE WHEN j.run_at > p_now THEN j.run_at ELSE @.add(j.run_at, j.rank_add) END,
                    clock = j.expires_at
                WHERE j.state = 3 AND j.token BETWEEN p_from[i] AND p_to[i] AND j.outcome = 0
                RETURNING j.id, j.n, j.token, j.queue, j.shelf
            ), counted AS (
                INSERT INTO @.tally SELECT b.queue, 4, @.place_of(2, b.shelf), count(*) FROM back AS b GROUP BY 1, 3
            )
            SELECT count(*), array_agg(b.id ORDER BY b.token, b.n) INTO v_held, v_back FROM back AS b;
            o_woke := o_woke OR v_held > 0;
            IF v_held > 0 THEN -- they keep their rank
                PERFORM nextval('@.jump');
            END IF;
            IF v_held > 0 AND @.told() THEN
                PERFORM @.tell(p_now, v_back);
            END IF;
        ELSE
            SELECT count(*), array_agg(@.show(j, 0, 0) ORDER BY j.token, j.n)
                FILTER (WHERE j.flags & 16 <> 0 OR j.stop_at <= p_now)
            INTO v_held, v_marks
            FROM @.job AS j WHERE j.state = 3 AND j.token BETWEEN p_from[i] AND p_to[i] AND j.outcome = 0;
            v_held := v_held + coalesce(v_members, 0);
            UPDATE @.job AS j SET lease_until = x.until, clock = x.until
            FROM (SELECT k.id, greatest(k.lease_until, least(@.add(p_now, p_nums[2 * i]), k.stop_at)) AS until
                  FROM @.job AS k WHERE k.state = 3 AND k.token BETWEEN p_from[i] AND p_to[i] AND k.outcome = 0
                      AND (k.stop_at IS NULL OR k.stop_at > p_now)) AS x
            WHERE j.id = x.id AND j.lease_until <> x.until;
            IF v_marks IS NOT NULL THEN
                v_marks := ARRAY(SELECT @.show(j, 0, 0) FROM unnest(v_marks) WITH ORDINALITY AS m
                                 JOIN @.job AS j ON j.id = m.id ORDER BY m.ordinality);
                o_marks := o_marks || v_marks;
                o_mark_at := o_mark_at || array_fill(i, ARRAY[cardinality(v_marks)]);
            END IF;
        END IF;
        o_held := o_held || v_held;
    END LOOP;
END $$;
