-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 now, ?3 limit -> n, run_at, flags, rest, lane of rows that have come due
SELECT n, run_at, flags, rest, lane FROM [job] WHERE list = ?1 AND place <= ?2 ORDER BY place, n LIMIT ?3
