-- SPDX-License-Identifier: MIT
-- ?1 child. Its parents have one open child less.
UPDATE [job] SET children = children - 1,
    alarm = CASE WHEN finished_at IS NULL THEN alarm WHEN children > 1 THEN finished_at END
WHERE id IN (SELECT parent FROM [edge] WHERE child = ?1 AND open = 1)
