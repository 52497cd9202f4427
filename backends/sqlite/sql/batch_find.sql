-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 rank, ?3 n -> enum batch_column of the only one that this row may be in
SELECT queue, rank, first, last, list, place, flags, started_at, token, worker
FROM [batch] WHERE queue = ?1 AND rank = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1
