-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 now, ?3 limit -> n, run_at, rank_add, flags of rows that have come due; by [job_shelf]
SELECT n, run_at, rank_add, flags FROM [job] WHERE queue = ?1 AND shelf = 3 AND place <= ?2 ORDER BY place, n LIMIT ?3
