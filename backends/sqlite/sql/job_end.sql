-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 reason, ?3 outcome, ?4 now, ?5 result, ?6 whether it is set, ?7 list. A running row without children completes.
UPDATE [job] SET state = 4, reason = ?2, outcome = ?3, list = ?7, place = ?4, lease_until = NULL, stop_at = NULL,
    finished_at = ?4, pending = 0, result = CASE WHEN ?6 THEN ?5 ELSE result END
WHERE n = ?1
