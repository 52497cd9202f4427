-- SPDX-License-Identifier: MIT
-- ?1 of, ?2 name
DELETE FROM [limit] WHERE of = ?1 AND name = ?2
