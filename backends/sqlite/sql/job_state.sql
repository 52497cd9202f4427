-- SPDX-License-Identifier: MIT
-- ?1 id -> state, also of a row of a batch
SELECT CASE WHEN b.list IS NULL THEN j.state WHEN b.list = 0 THEN 3 ELSE 4 END
FROM [job] AS j LEFT JOIN [batch] AS b
    ON (j.list = 16 * j.queue + 1 OR j.list < 0) AND b.queue = iif(j.list < 0, -j.queue, j.queue) AND b.rank = j.place
        AND j.n BETWEEN b.first AND b.last
WHERE j.id = ?1
