-- SPDX-License-Identifier: MIT
-- ?1 first n, ?2 last
DELETE FROM [job] WHERE n BETWEEN ?1 AND ?2
