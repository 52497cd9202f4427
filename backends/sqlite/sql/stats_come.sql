-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 now, ?3 bound -> how many of those that are not due yet have come due
SELECT count(*) FROM (SELECT 1 FROM [job] WHERE list = ?1 AND place <= ?2 LIMIT ?3)
