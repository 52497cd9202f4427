-- SPDX-License-Identifier: MIT
-- ?1 first n, ?2 last, ?3 token, ?4 worker, ?5 now, ?6 end of the lease, ?7 the largest attempt, ?8 bits of flags that
-- stay, ?9 bits that come. Rows without a timeout.
UPDATE OR FAIL [job] SET state = 3, list = 0, place = ?6, token = ?3, worker = ?4, started_at = ?5, stop_at = NULL,
    attempt = attempt + (attempt < ?7), flags = flags & ?8 | ?9
WHERE n BETWEEN ?1 AND ?2
