-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 so many are left out -> how many rows the batches have that stand there longest; by [batch_list]
SELECT coalesce(sum(last - first + 1), 0) FROM (
    SELECT first, last FROM [batch] WHERE list = ?1 ORDER BY place DESC, queue DESC, rank DESC, first DESC LIMIT -1 OFFSET ?2)
