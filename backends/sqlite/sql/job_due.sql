-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 list, ?3 place
UPDATE [job] SET list = ?2, place = ?3 WHERE n = ?1
