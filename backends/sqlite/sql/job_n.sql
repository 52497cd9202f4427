-- SPDX-License-Identifier: MIT
-- ?1 id -> n
SELECT n FROM [job] WHERE id = ?1
