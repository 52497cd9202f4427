-- SPDX-License-Identifier: MIT
-- ?1 list of due ones, ?2 now, ?3 bound, ?4 ?5 place and n of the first row of that list that is in no batch -> name,
-- how many are ready; from [job_list] and [lane_circle] alone
SELECT k.name, sum(r.ready) FROM (
    SELECT kind, count(*) AS ready FROM (
        SELECT kind FROM (SELECT kind FROM [job] AS j WHERE list = ?1 AND place = ?4 AND n >= ?5 AND
            coalesce((SELECT last FROM [batch] AS b
                WHERE b.queue = ?1 / 16 AND b.rank = j.place AND b.first <= j.n ORDER BY b.first DESC LIMIT 1), 0) < j.n
            LIMIT ?3)
        UNION ALL SELECT kind FROM (SELECT kind FROM [job] AS j WHERE list = ?1 AND place > ?4 AND
            coalesce((SELECT last FROM [batch] AS b
                WHERE b.queue = ?1 / 16 AND b.rank = j.place AND b.first <= j.n ORDER BY b.first DESC LIMIT 1), 0) < j.n
            ORDER BY place LIMIT ?3)
        UNION ALL SELECT kind FROM (SELECT kind FROM [job] WHERE list = ?1 + 1 ORDER BY place LIMIT ?3)
        UNION ALL SELECT kind FROM
            (SELECT kind FROM [job] WHERE list = ?1 + 2 AND place <= ?2 ORDER BY place LIMIT ?3)
        UNION ALL SELECT kind FROM (SELECT j.kind FROM [lane] AS l CROSS JOIN [job] AS j ON j.list = -l.id
            AND j.place >= coalesce(l.early, l.front_place) AND (j.place > l.front_place OR
                (j.place = l.front_place AND j.n > l.front_n) OR (l.early IS NOT NULL AND
                coalesce((SELECT last FROM [batch] AS b WHERE b.queue = -l.queue AND b.rank = j.place AND b.first <= j.n
                    ORDER BY b.first DESC LIMIT 1), 0) < j.n))
            WHERE l.queue = ?1 / 16 AND l.ready = 1 LIMIT ?3))
    GROUP BY kind) AS r JOIN [kind] AS k ON k.id = r.kind
GROUP BY k.name ORDER BY k.name
