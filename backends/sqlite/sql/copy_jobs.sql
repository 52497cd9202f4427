-- SPDX-License-Identifier: MIT
-- ?1 id after which -> n; by the index of ids
SELECT n FROM [job] WHERE id > ?1 ORDER BY id
