-- SPDX-License-Identifier: MIT
-- ?1 number of a queue, ?2... counts in the order of enum queue_count, ?17 figures, NULL to leave them
UPDATE [tally] SET blocked = ?2, due = ?3, later = ?4, running = ?5, completed = ?6, dead = ?7, cancelled = ?8,
    enqueued_total = ?9, completed_total = ?10, dead_total = ?11, cancelled_total = ?12, failed_total = ?13,
    completed_trimmed = ?14, dead_trimmed = ?15, cancelled_trimmed = ?16, figures = coalesce(?17, figures)
WHERE queue = ?1
