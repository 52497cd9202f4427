-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 the least rank -> rank, first n, last, in the order of the due list
SELECT rank, first, last FROM [batch] WHERE queue = ?1 AND rank >= ?2 ORDER BY rank, first
