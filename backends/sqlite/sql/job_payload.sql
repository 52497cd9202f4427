-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 payload or NULL when it is in [bulk]
UPDATE [job] SET payload = ?2 WHERE n = ?1
