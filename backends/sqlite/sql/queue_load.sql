-- SPDX-License-Identifier: MIT
-- ?1 id -> counts in the order of enum queue_count, paused, depth, keeps, keep counts, keep times
SELECT blocked, due, later, running, completed, dead, cancelled,
    enqueued_total, completed_total, dead_total, cancelled_total, failed_total, paused, depth, keeps,
    keep_completed, keep_dead, keep_cancelled, keep_completed_ms, keep_dead_ms, keep_cancelled_ms
FROM [queue] WHERE id = ?1
