-- SPDX-License-Identifier: MIT
-- ?1 name
INSERT INTO [queue](name) VALUES (?1)
