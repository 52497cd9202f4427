-- SPDX-License-Identifier: MIT
-- ?1 child
UPDATE [edge] SET open = 0 WHERE child = ?1
