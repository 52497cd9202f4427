-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 rank, ?3 first n
DELETE FROM [batch] WHERE queue = ?1 AND rank = ?2 AND first = ?3
