-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 token, ?3 worker, ?4 now, ?5 stop_at, ?6 end of the lease, ?7 attempt, ?8 flags
UPDATE [job] SET state = 3, list = 0, place = ?6, token = ?2, worker = ?3, started_at = ?4, stop_at = ?5, attempt = ?7,
    flags = ?8
WHERE n = ?1
