-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 instant -> ids of the first and the last row of each record that ended at it, its flags; in the order of
-- the records
SELECT j.id, b.flags FROM [batch] AS b CROSS JOIN [job] AS j ON j.n IN (b.first, b.last)
WHERE b.list = ?1 AND b.place = ?2 ORDER BY b.queue, b.rank, b.first, j.n
