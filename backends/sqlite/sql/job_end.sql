-- SPDX-License-Identifier: MIT
-- ?1 first n, ?2 last, ?3 list, ?4 now, ?5 outcome and reason, as bits of flags, ?6 whether a result goes. Running rows
-- complete that nothing hangs on.
UPDATE OR FAIL [job] SET state = 4, list = ?3, place = ?4, flags = flags & 65535 | ?5, stop_at = NULL,
    result = iif(?6, NULL, result)
WHERE n BETWEEN ?1 AND ?2
