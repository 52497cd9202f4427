-- SPDX-License-Identifier: MIT
-- ?1 name, NULL for all -> id, name
SELECT id, name FROM [queue] WHERE id > 0 AND (?1 IS NULL OR name = ?1) ORDER BY name
