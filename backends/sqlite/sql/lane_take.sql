-- SPDX-License-Identifier: MIT
-- ?1 first id, ?2 last, ?3 how many more of their rows run, as members of a record, ?4 ?5 its rank and its last n. All
-- of their rows up to there are members now.
UPDATE OR FAIL [lane] SET running = running + ?3, front_place = ?4, front_n = ?5 WHERE id BETWEEN ?1 AND ?2
