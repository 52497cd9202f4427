-- SPDX-License-Identifier: MIT
-- ?1 queue -> rank, first n, last, in the order of the due list
SELECT rank, first, last FROM [batch] WHERE queue = ?1 ORDER BY rank, first
