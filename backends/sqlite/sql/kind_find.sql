-- SPDX-License-Identifier: MIT
-- ?1 name -> id
SELECT id FROM [kind] WHERE name = ?1
