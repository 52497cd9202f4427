-- SPDX-License-Identifier: MIT
-- ?1 id, ?2 ?3 place and n of a due row that comes
UPDATE [lane] SET ready = 1, early = CASE WHEN ?2 > front_place OR (?2 = front_place AND ?3 > front_n) THEN early
                                          ELSE min(coalesce(early, ?2), ?2) END
WHERE id = ?1 AND (ready <> 1 OR ?2 < front_place OR (?2 = front_place AND ?3 <= front_n))
