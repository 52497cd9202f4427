-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 ?3 rank and n -> rank, first n, last of those behind it at this rank, in the order of the due list
SELECT rank, first, last FROM [batch] WHERE queue = ?1 AND rank = ?2 AND first > ?3 ORDER BY first
