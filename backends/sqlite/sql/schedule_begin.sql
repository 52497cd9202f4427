-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 fired, ?3 next. What is settled stays settled.
UPDATE [schedule] SET fired = max(fired, ?2), next = ?3 WHERE name = ?1
