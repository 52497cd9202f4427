-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 tenant, ?3 1: not this one, 0: this one too, ?4 whether it counts how many of a group run -> enum
-- row_column of the first due row behind the front (all NULL: there is none, or something may wait before it), then lane,
-- tenant, how many of it run in this queue and in all of them, from where on something may wait before the front. One
-- group after the other, by bytes; [lane_circle], and two looks into [job_list] for each. A comparison of place and n at
-- once would walk over all rows of the place. Read as far as needed.
SELECT j.n, j.id, j.state, j.queue, j.kind, j.flags, j.list, j.place, j.run_at, j.created_at, j.attempt, j.token,
    j.worker, j.started_at, j.stop_at, length(j.payload), j.rest, j.lane, j.tenant, j.policy, j.key, j.trace,
    j.progress, j.payload, NULL, j.data, l.id, l.tenant, l.running,
    CASE WHEN ?4 THEN (SELECT sum(o.running) FROM [lane] AS o WHERE o.tenant = l.tenant) END, l.early
FROM [lane] AS l LEFT JOIN [job] AS j
    ON j.n = CASE WHEN l.early IS NULL THEN coalesce(
        (SELECT f.n FROM [job] AS f WHERE f.list = -l.id AND f.place = l.front_place AND f.n > l.front_n
            ORDER BY f.n LIMIT 1),
        (SELECT f.n FROM [job] AS f WHERE f.list = -l.id AND f.place > l.front_place ORDER BY f.place, f.n LIMIT 1)) END
WHERE l.queue = ?1 AND l.ready = 1 AND l.tenant >= ?2 AND (?3 = 0 OR l.tenant > ?2)
ORDER BY l.tenant
