-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 data or NULL when it is in [bulk]
UPDATE [job] SET data = ?2 WHERE n = ?1
