-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 now, ?3 bound -> name, how many are ready; from [job_shelf] alone
SELECT k.name, sum(r.ready) FROM (
    SELECT kind, count(*) AS ready FROM (
        SELECT kind FROM (SELECT kind FROM [job] WHERE queue = ?1 AND shelf = 1 ORDER BY place LIMIT ?3)
        UNION ALL SELECT kind FROM (SELECT kind FROM [job] WHERE queue = ?1 AND shelf = 2 ORDER BY place LIMIT ?3)
        UNION ALL SELECT kind FROM
            (SELECT kind FROM [job] WHERE queue = ?1 AND shelf = 3 AND place <= ?2 ORDER BY place LIMIT ?3))
    GROUP BY kind) AS r JOIN [kind] AS k ON k.id = r.kind
GROUP BY k.name ORDER BY k.name
