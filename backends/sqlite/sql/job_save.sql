-- SPDX-License-Identifier: MIT
-- ?1 n, then what a step may change. The row moves to its list.
UPDATE [job] SET state = ?2, reason = ?3, outcome = ?4, flags = ?5, edits = ?6, lease_until = ?7, stop_at = ?8,
    list = ?9, place = ?10, alarm = ?11, run_at = ?12, failures = ?13, crashes = ?14, snoozes = ?15, releases = ?16,
    redrives = ?17, pending = ?18, children = ?19, errors = ?20, finished_at = ?21, expires_at = ?22,
    callback_until = ?23, callback = ?24
WHERE n = ?1
