-- SPDX-License-Identifier: MIT
-- ?1 name -> version, paused, fired
SELECT version, paused, fired FROM [schedule] WHERE name = ?1
