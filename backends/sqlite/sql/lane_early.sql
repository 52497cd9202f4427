-- SPDX-License-Identifier: MIT
-- ?1 id, ?2 the lowest place before the front where something waits, NULL for none
UPDATE [lane] SET early = ?2 WHERE id = ?1
