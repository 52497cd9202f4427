-- SPDX-License-Identifier: MIT
-- ?1 now -> the next lease of a batch to end; by [batch_list]
SELECT place FROM [batch] WHERE list = 0 AND place > ?1 ORDER BY place LIMIT 1
