-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 ?3 place and n of the row before -> kind, place, n of the rows behind it at this place
SELECT kind, place, n FROM [job] WHERE list = ?1 AND place = ?2 AND n > ?3 ORDER BY n
