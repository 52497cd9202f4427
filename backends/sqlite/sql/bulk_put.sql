-- SPDX-License-Identifier: MIT
-- ?1 slot, ?2 bytes
INSERT OR REPLACE INTO [bulk](slot, bytes) VALUES (?1, ?2)
