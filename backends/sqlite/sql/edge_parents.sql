-- SPDX-License-Identifier: MIT
-- ?1 child -> parent, rule, open, state of the parent (NULL: gone)
SELECT e.parent, e.rule, e.open, j.state FROM [edge] AS e LEFT JOIN [job] AS j ON j.id = e.parent
WHERE e.child = ?1 ORDER BY e.parent
