-- SPDX-License-Identifier: MIT
-- ?1 id. Nothing waits in it.
UPDATE [lane] SET ready = 0 WHERE id = ?1
