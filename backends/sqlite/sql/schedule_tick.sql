-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 fired, ?3 next
UPDATE [schedule] SET fired = ?2, next = ?3 WHERE name = ?1
