-- SPDX-License-Identifier: MIT
-- ?1 list of due ones, ?2 now, ?3 bound -> the earliest run_at of a ready row, among the first by rank
SELECT min(run_at) FROM (
    SELECT run_at FROM (SELECT run_at FROM [job] WHERE list = ?1 ORDER BY place LIMIT ?3)
    UNION ALL SELECT run_at FROM (SELECT run_at FROM [job] WHERE list = ?1 + 1 ORDER BY place LIMIT ?3)
    UNION ALL SELECT place FROM (SELECT place FROM [job] WHERE list = ?1 + 2 AND place <= ?2 ORDER BY place LIMIT 1))
