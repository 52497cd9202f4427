-- SPDX-License-Identifier: MIT
-- ?1 id, ?2 ?3 ?4 counts, ?5 ?6 ?7 ?8 times
UPDATE [queue] SET keeps = 1, keep_completed = ?2, keep_dead = ?3, keep_cancelled = ?4, keep_completed_ms = ?5,
    keep_dead_ms = ?6, keep_cancelled_ms = ?7, keep_results_ms = ?8, results_at = 0
WHERE id = ?1
