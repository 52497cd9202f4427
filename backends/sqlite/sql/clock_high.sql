-- SPDX-License-Identifier: MIT
-- ?1 high
UPDATE [meta] SET high = ?1 WHERE one = 1
