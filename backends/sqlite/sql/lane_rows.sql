-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 tenant, ?3 1: not this one, 0: this one too, ?4 whether it counts how many of a group run -> enum
-- row_column of the first due row (all NULL: it has none), then lane, tenant, how many of it run in this queue and in
-- all of them. One group after the other, by bytes; [lane_circle], and one look into [job_list] for each. Read as far
-- as needed.
SELECT j.n, j.id, j.state, j.queue, j.kind, j.flags, j.list, j.place, j.run_at, j.created_at, j.attempt, j.token,
    j.worker, j.started_at, j.stop_at, length(j.payload), j.rest, j.lane, j.tenant, j.policy, j.key, j.trace,
    j.progress, j.payload, NULL, j.data, l.id, l.tenant, l.running,
    CASE WHEN ?4 THEN (SELECT sum(o.running) FROM [lane] AS o WHERE o.tenant = l.tenant) END
FROM [lane] AS l LEFT JOIN [job] AS j
    ON j.n = (SELECT f.n FROM [job] AS f WHERE f.list = -l.id ORDER BY f.place, f.n LIMIT 1)
WHERE l.queue = ?1 AND l.ready = 1 AND l.tenant >= ?2 AND (?3 = 0 OR l.tenant > ?2)
ORDER BY l.tenant
