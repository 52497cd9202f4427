-- SPDX-License-Identifier: MIT
-- ?1 scope, ?2 digest of the payload
UPDATE [key] SET digest = ?2 WHERE scope = ?1
