-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 digest of the payload
UPDATE [job] SET key_digest = ?2 WHERE n = ?1
