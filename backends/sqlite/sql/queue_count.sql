-- SPDX-License-Identifier: MIT
-- ?1 id, ?2... differences in the order of enum queue_count. No index holds any of these columns.
UPDATE [queue] SET blocked = blocked + ?2, due = due + ?3, later = later + ?4, running = running + ?5,
    completed = completed + ?6, dead = dead + ?7, cancelled = cancelled + ?8,
    enqueued_total = enqueued_total + ?9, completed_total = completed_total + ?10, dead_total = dead_total + ?11,
    cancelled_total = cancelled_total + ?12, failed_total = failed_total + ?13
WHERE id = ?1
