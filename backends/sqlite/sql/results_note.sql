-- SPDX-License-Identifier: MIT
-- ?1 id, ?2 ?3 when and n of the last row whose result is gone
UPDATE [queue] SET results_at = ?2, results_n = ?3 WHERE id = ?1
