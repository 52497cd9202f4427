-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 paused
UPDATE [schedule] SET paused = ?2 WHERE name = ?1
