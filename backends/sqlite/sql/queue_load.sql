-- SPDX-License-Identifier: MIT
-- ?1 id -> paused, depth, keeps, keep counts, keep times
SELECT paused, depth, keeps, keep_completed, keep_dead, keep_cancelled, keep_completed_ms, keep_dead_ms, keep_cancelled_ms
FROM [queue] WHERE id = ?1
