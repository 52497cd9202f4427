-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 rank, ?3 first n, ?4 list, ?5 place, ?6 flags
UPDATE [batch] SET list = ?4, place = ?5, flags = ?6 WHERE queue = ?1 AND rank = ?2 AND first = ?3
