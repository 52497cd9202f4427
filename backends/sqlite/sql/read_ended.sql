-- SPDX-License-Identifier: MIT
-- ?1 after, ?2 queue, ?3 kind, ?4 tenant, ?5 bits of stored states, ?6 waiting rows: 0 all, 1 ready, 2 scheduled, ?7
-- now, ?8 reason, ?9 not younger than (?2 ?3 ?4 ?8 ?9 NULL: any) -> n, by id; by the lists of what has ended, sorted
SELECT n FROM (
    SELECT n, id FROM [job] INDEXED BY [job_list] WHERE list BETWEEN 16 * ?2 + 4 AND 16 * ?2 + 6 AND id > ?1
        AND (?2 IS NULL OR queue = ?2)
        AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR tenant = ?4)
        AND 1 << state & ?5 AND (?6 = 0 OR state <> 2 OR (run_at <= ?7) = (?6 = 1)) AND (?8 IS NULL OR flags >> 20 = ?8)
        AND (?9 IS NULL OR CASE WHEN state BETWEEN 4 AND 6 THEN place ELSE created_at END <= ?9)
    UNION ALL SELECT j.n, j.id FROM [batch] AS b CROSS JOIN [job] AS j ON j.n BETWEEN b.first AND b.last
    WHERE b.list = 16 * ?2 + 4 AND 16 & ?5 AND (?8 IS NULL OR b.flags >> 20 = ?8) AND (?9 IS NULL OR b.place <= ?9)
        AND j.id > ?1 AND (?3 IS NULL OR j.kind = ?3) AND (?4 IS NULL OR j.tenant = ?4))
ORDER BY id
