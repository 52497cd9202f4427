-- SPDX-License-Identifier: MIT
-- What the jobs of a queue took: counted with the tally, in the step that makes it so, and folded with it.

-- The bucket of a duration.
CREATE OR REPLACE FUNCTION @.bucket(ms bigint) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT width_bucket(ms, '{@BOUNDS}'::bigint[])::smallint
$$;

-- Ends of attempts, triples {queue, came, ms}.
CREATE OR REPLACE FUNCTION @.count_ends(p_now bigint, p_ends bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO @.tally
    SELECT x.queue, x.came, x.came, count(*), @.bucket(x.ms), least(sum(x.ms), 9223372036854775807), p_now
    FROM (SELECT p_ends[3 * i + 1] AS queue, p_ends[3 * i + 2] AS came, p_ends[3 * i + 3] AS ms
          FROM generate_series(0, cardinality(p_ends) / 3 - 1) AS i) AS x
    GROUP BY x.queue, x.came, @.bucket(x.ms);
END $$;

-- What a row of the tally adds to.
CREATE OR REPLACE FUNCTION @.figures_of(came smallint, took smallint, total bigint, at bigint)
RETURNS TABLE (what smallint, number bigint, ms bigint) LANGUAGE sql IMMUTABLE AS $$
    SELECT (CASE WHEN came = 4 THEN 1 ELSE 2 END)::smallint, took::bigint, total WHERE took IS NOT NULL
    UNION ALL
    SELECT (CASE WHEN came = 9 THEN 4 ELSE 3 END)::smallint, at / 10000, 0 WHERE took IS NOT NULL AND came <> 4
$$;

-- Slots that no window reaches any more.
CREATE OR REPLACE FUNCTION @.figures_fade(p_queues integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_oldest bigint := @.clock() / 10000 - 90;
BEGIN
    DELETE FROM @.figure AS f WHERE f.queue = ANY (p_queues) AND f.what IN (3, 4) AND f.number < v_oldest;
END $$;

-- Folded or not, of one queue by its key, or of all. Arrays: numbers of buckets and how many are in each.
CREATE OR REPLACE FUNCTION @.stats_figures(p_queue integer, p_now bigint) RETURNS TABLE (queue integer,
    waited bigint[], waited_rows bigint[], waited_total bigint, ran bigint[], ran_rows bigint[], ran_total bigint,
    minute_completed bigint, minute_failed bigint, quarter_completed bigint, quarter_failed bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE v_slot bigint := p_now / 10000;
BEGIN
    RETURN QUERY
    SELECT d.queue, array_agg(d.number) FILTER (WHERE d.what = 1), array_agg(d.rows) FILTER (WHERE d.what = 1),
        least(coalesce(sum(d.ms) FILTER (WHERE d.what = 1), 0), 9223372036854775807)::bigint,
        array_agg(d.number) FILTER (WHERE d.what = 2), array_agg(d.rows) FILTER (WHERE d.what = 2),
        least(coalesce(sum(d.ms) FILTER (WHERE d.what = 2), 0), 9223372036854775807)::bigint,
        sum(d.rows) FILTER (WHERE d.what = 3 AND d.number BETWEEN v_slot - 6 AND v_slot)::bigint,
        sum(d.rows) FILTER (WHERE d.what = 4 AND d.number BETWEEN v_slot - 6 AND v_slot)::bigint,
        sum(d.rows) FILTER (WHERE d.what = 3 AND d.number BETWEEN v_slot - 90 AND v_slot)::bigint,
        sum(d.rows) FILTER (WHERE d.what = 4 AND d.number BETWEEN v_slot - 90 AND v_slot)::bigint
    FROM (
        SELECT x.queue, x.what, x.number, sum(x.rows)::bigint AS rows, sum(x.ms) AS ms FROM (
            SELECT f.queue, f.what, f.number, f.rows, f.total AS ms FROM @.figure AS f
            UNION ALL
            SELECT t.queue, y.what, y.number, t.rows, y.ms FROM @.tally AS t
            CROSS JOIN LATERAL @.figures_of(t.came, t.took, t.total, t.at) AS y) AS x
        WHERE p_queue IS NULL OR x.queue = p_queue GROUP BY x.queue, x.what, x.number) AS d
    GROUP BY d.queue;
END $$;
