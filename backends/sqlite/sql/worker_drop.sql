-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 nonce
DELETE FROM [worker] WHERE name = ?1 AND nonce = ?2
