-- SPDX-License-Identifier: MIT
-- ?1 first id, ?2 last, ?3 how many more of their rows run
UPDATE OR FAIL [lane] SET running = running + ?3 WHERE id BETWEEN ?1 AND ?2
