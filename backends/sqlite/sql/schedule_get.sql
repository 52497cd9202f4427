-- SPDX-License-Identifier: MIT
-- ?1 name -> name, version, paused, fired, next, bytes
SELECT name, version, paused, fired, next, bytes FROM [schedule] WHERE name = ?1
