-- SPDX-License-Identifier: MIT
-- ?1 parent, ?2 least hard, ?3 limit -> child, rule; by [edge_open]
SELECT child, rule FROM [edge] WHERE parent = ?1 AND open = 1 AND hard >= ?2 ORDER BY hard, child LIMIT ?3
