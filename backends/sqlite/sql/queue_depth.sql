-- SPDX-License-Identifier: MIT
-- ?1 id, ?2 depth, NULL for none
UPDATE [queue] SET depth = ?2 WHERE id = ?1
