-- SPDX-License-Identifier: MIT
-- ?1 now by the calendar, ?2 limit -> name, version, paused, fired, next, bytes. Index schedule_next.
SELECT name, version, paused, fired, next, bytes FROM [schedule] WHERE paused = 0 AND next <= ?1
    ORDER BY next, name LIMIT ?2
