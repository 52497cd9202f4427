-- SPDX-License-Identifier: MIT
-- ?1 child
DELETE FROM [edge] WHERE child = ?1
