-- SPDX-License-Identifier: MIT
-- ?1 id -> name
SELECT name FROM [queue] WHERE id = ?1
