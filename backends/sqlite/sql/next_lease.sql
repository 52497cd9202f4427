-- SPDX-License-Identifier: MIT
-- ?1 now -> the next lease to end
SELECT place FROM [job] WHERE list = 0 AND place > ?1 ORDER BY place LIMIT 1
