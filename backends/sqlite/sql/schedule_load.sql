-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 version, ?3 paused, ?4 fired, ?5 next, ?6 bytes
INSERT INTO [schedule](name, version, paused, fired, next, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
