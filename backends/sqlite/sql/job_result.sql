-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 result or NULL when it is in [bulk]
UPDATE [job] SET result = ?2 WHERE n = ?1
