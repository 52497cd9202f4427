-- SPDX-License-Identifier: MIT
-- ?1 id -> paused, grouped, depth, concurrency, group_concurrency, rate, rate_period, keeps, keep counts, keep times,
-- when and n of the last row whose result is gone
SELECT paused, grouped, depth, concurrency, group_concurrency, rate, rate_period, keeps, keep_completed, keep_dead,
    keep_cancelled, keep_completed_ms, keep_dead_ms, keep_cancelled_ms, keep_results_ms, results_at, results_n
FROM [queue] WHERE id = ?1
