-- SPDX-License-Identifier: MIT
-- ?1 of, ?2 name, ?3 when it counts nothing any more, ?4 bytes
INSERT OR REPLACE INTO [gauge](of, name, fades, bytes) VALUES (?1, ?2, ?3, ?4)
