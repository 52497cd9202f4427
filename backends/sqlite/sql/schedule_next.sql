-- SPDX-License-Identifier: MIT
-- -> when one that is not paused should be looked at. Index schedule_next, its first entry.
SELECT next FROM [schedule] WHERE paused = 0 ORDER BY next LIMIT 1
