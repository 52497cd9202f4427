-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 rank, ?3 first n, ?4 first n from now on, ?5 last
UPDATE [batch] SET first = ?4, last = ?5 WHERE queue = ?1 AND rank = ?2 AND first = ?3
