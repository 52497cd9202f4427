-- SPDX-License-Identifier: MIT
-- ?1 now by the calendar -> the first look behind it. Index schedule_next.
SELECT next FROM [schedule] WHERE paused = 0 AND next > ?1 ORDER BY next LIMIT 1
