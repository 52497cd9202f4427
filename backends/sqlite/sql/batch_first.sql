-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 ?3 places from, to -> enum batch_column, by place, rank and arrival; by [batch_list]. Read as far as
-- needed.
SELECT queue, rank, first, last, list, place, flags, started_at, token, worker
FROM [batch] WHERE list = ?1 AND place BETWEEN ?2 AND ?3 ORDER BY place, queue, rank, first
