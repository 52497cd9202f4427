-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 payload or NULL when it is in [bulk], ?3 its size
UPDATE [job] SET payload = ?2, payload_bytes = ?3 WHERE n = ?1
