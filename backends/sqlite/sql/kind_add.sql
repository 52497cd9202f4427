-- SPDX-License-Identifier: MIT
-- ?1 name
INSERT INTO [kind](name) VALUES (?1)
