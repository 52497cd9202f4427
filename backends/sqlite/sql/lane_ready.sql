-- SPDX-License-Identifier: MIT
-- ?1 id, ?2 ready
UPDATE [lane] SET ready = ?2 WHERE id = ?1 AND ready <> ?2
