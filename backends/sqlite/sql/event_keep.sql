-- SPDX-License-Identifier: MIT
-- ?1 how many to keep
UPDATE [meta] SET events = ?1 WHERE one = 1
