-- SPDX-License-Identifier: MIT
-- ?1 id
UPDATE [queue] SET grouped = 1 WHERE id = ?1
