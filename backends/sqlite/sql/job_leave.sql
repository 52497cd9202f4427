-- SPDX-License-Identifier: MIT
-- ?1 first n, ?2 last, ?3 state, ?4 list, ?5 place, ?6 token, ?7 worker, ?8 started_at, ?9 attempt, ?10 outcome and
-- reason, as bits of flags. Rows as they were put: what stood in the record of their batch is written into them.
UPDATE OR FAIL [job] SET state = ?3, list = ?4, place = ?5, token = ?6, worker = ?7, started_at = ?8, attempt = ?9,
    flags = flags | ?10
WHERE n BETWEEN ?1 AND ?2
