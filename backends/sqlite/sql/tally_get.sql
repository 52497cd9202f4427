-- SPDX-License-Identifier: MIT
-- ?1 number of a queue -> counts in the order of enum queue_count, figures
SELECT blocked, due, later, running, completed, dead, cancelled,
    enqueued_total, completed_total, dead_total, cancelled_total, failed_total,
    completed_trimmed, dead_trimmed, cancelled_trimmed, figures
FROM [tally] WHERE queue = ?1
