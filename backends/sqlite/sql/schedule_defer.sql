-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 next
UPDATE [schedule] SET next = ?2 WHERE name = ?1
