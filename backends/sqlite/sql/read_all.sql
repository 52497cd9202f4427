-- SPDX-License-Identifier: MIT
-- ?1 after, ?2 queue, ?3 kind, ?4 tenant, ?5 bits of stored states, ?6 waiting rows: 0 all, 1 ready, 2 scheduled, ?7
-- now, ?8 reason, ?9 not younger than (?2 ?3 ?4 ?8 ?9 NULL: any) -> n, by id; by the index of ids. Rows of a batch as
-- its record says.
SELECT n FROM (
    SELECT j.n, j.id, j.run_at, j.created_at, coalesce(b.place, j.place) AS place, coalesce(b.flags, j.flags) AS flags,
        CASE WHEN b.list IS NULL THEN j.state WHEN b.list = 0 THEN 3 ELSE 4 END AS state
    FROM [job] AS j LEFT JOIN [batch] AS b
        ON (j.list = 16 * j.queue + 1 OR j.list < 0) AND b.queue = iif(j.list < 0, -j.queue, j.queue) AND b.rank = j.place
        AND j.n <= b.last AND b.first = (SELECT m.first FROM [batch] AS m
            WHERE m.queue = iif(j.list < 0, -j.queue, j.queue) AND m.rank = j.place AND m.first <= j.n
            ORDER BY m.first DESC LIMIT 1)
    WHERE j.id > ?1 AND (?2 IS NULL OR j.queue = ?2) AND (?3 IS NULL OR j.kind = ?3) AND (?4 IS NULL OR j.tenant = ?4))
WHERE 1 << state & ?5 AND (?6 = 0 OR state <> 2 OR (run_at <= ?7) = (?6 = 1)) AND (?8 IS NULL OR flags >> 20 = ?8)
    AND (?9 IS NULL OR CASE WHEN state BETWEEN 4 AND 6 THEN place ELSE created_at END <= ?9)
ORDER BY id
