-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 tenant, ?3 1: not this one, 0: this one too -> id, tenant, running, whether it has due rows (2: perhaps,
-- before the front). The next by bytes; [lane_circle], and two looks into [job_list].
SELECT l.id, l.tenant, l.running, CASE WHEN l.early IS NOT NULL THEN 2 ELSE
    EXISTS (SELECT 1 FROM [job] AS j WHERE j.list = -l.id AND j.place = l.front_place AND j.n > l.front_n) OR
    EXISTS (SELECT 1 FROM [job] AS j WHERE j.list = -l.id AND j.place > l.front_place) END
FROM [lane] AS l WHERE l.queue = ?1 AND l.ready = 1 AND l.tenant >= ?2 AND (?3 = 0 OR l.tenant > ?2)
ORDER BY l.tenant LIMIT 1
