-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 nonce -> whether an operator asked it to stop
SELECT stop_asked FROM [worker] WHERE name = ?1 AND nonce = ?2
