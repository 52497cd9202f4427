-- SPDX-License-Identifier: MIT
-- ?1 id, ?2 paused
UPDATE [queue] SET paused = ?2 WHERE id = ?1
