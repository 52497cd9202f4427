-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 progress
UPDATE [job] SET progress = ?2 WHERE n = ?1
