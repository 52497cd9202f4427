-- SPDX-License-Identifier: MIT
-- ?1 id, ?2 how many more of its rows run
UPDATE [lane] SET running = running + ?2 WHERE id = ?1
