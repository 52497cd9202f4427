-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 list, ?3 now, ?4 flags, ?5 result. A running row completes that nothing hangs on.
UPDATE [job] SET state = 4, list = ?2, place = ?3, flags = ?4, stop_at = NULL, result = ?5 WHERE n = ?1
