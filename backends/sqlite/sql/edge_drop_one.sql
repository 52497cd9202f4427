-- SPDX-License-Identifier: MIT
-- ?1 child, ?2 parent
DELETE FROM [edge] WHERE child = ?1 AND parent = ?2
