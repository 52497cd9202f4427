-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 bytes. A new definition raises the version.
INSERT INTO [schedule](name, bytes) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes, version = version + 1
