-- SPDX-License-Identifier: MIT
-- ?1 parent -> how many wait for it; by the index of open edges
SELECT count(*) FROM [edge] WHERE parent = ?1 AND open = 1
