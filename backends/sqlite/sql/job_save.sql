-- SPDX-License-Identifier: MIT
-- ?1 n, then what a step may change. The row moves to its list.
UPDATE [job] SET state = ?2, flags = ?3, list = ?4, place = ?5, alarm = ?6, run_at = ?7, stop_at = ?8, rest = ?9
WHERE n = ?1
