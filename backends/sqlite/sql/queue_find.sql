-- SPDX-License-Identifier: MIT
-- ?1 name -> id
SELECT id FROM [queue] WHERE name = ?1
