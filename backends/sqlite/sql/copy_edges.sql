-- SPDX-License-Identifier: MIT
-- ?1 child -> parent, rule, open
SELECT parent, rule, open FROM [edge] WHERE child = ?1 ORDER BY parent
