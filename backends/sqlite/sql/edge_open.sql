-- SPDX-License-Identifier: MIT
-- ?1 child, ?2 parent
UPDATE [edge] SET open = 1 WHERE child = ?1 AND parent = ?2
