-- SPDX-License-Identifier: MIT
-- ?1 child -> parent, rule, open, state of the parent (NULL: gone), also of one in a batch
SELECT e.parent, e.rule, e.open, CASE WHEN b.list IS NULL THEN j.state WHEN b.list = 0 THEN 3 ELSE 4 END
FROM [edge] AS e LEFT JOIN [job] AS j ON j.id = e.parent LEFT JOIN [batch] AS b
    ON (j.list = 16 * j.queue + 1 OR j.list < 0) AND b.queue = iif(j.list < 0, -j.queue, j.queue) AND b.rank = j.place
        AND j.n BETWEEN b.first AND b.last
WHERE e.child = ?1 ORDER BY e.parent
