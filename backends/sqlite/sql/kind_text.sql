-- SPDX-License-Identifier: MIT
-- ?1 id -> name
SELECT name FROM [kind] WHERE id = ?1
