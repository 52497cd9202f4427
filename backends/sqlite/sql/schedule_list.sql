-- SPDX-License-Identifier: MIT
-- ?1 after, ?2 limit -> name, version, paused, fired, next, bytes. By the index of the name.
SELECT name, version, paused, fired, next, bytes FROM [schedule] WHERE name > ?1 ORDER BY name LIMIT ?2
