-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 ?3 places from, to -> how many rows its batches have; by [batch_list]
SELECT coalesce(sum(last - first + 1), 0) FROM [batch] WHERE list = ?1 AND place BETWEEN ?2 AND ?3
