-- SPDX-License-Identifier: MIT
-- ?1 the newest cursor
UPDATE [meta] SET event = ?1 WHERE one = 1
