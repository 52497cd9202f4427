-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 ?3 when and n of the row before, ?4 limit -> n, when it ended, whether it may have a result (512: in
-- [bulk]); oldest first, by [job_list]
SELECT n, place, result IS NOT NULL OR flags & 512 FROM [job] WHERE list = ?1 AND (place, n) > (?2, ?3)
ORDER BY place, n LIMIT ?4
