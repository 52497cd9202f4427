-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 instant, ?3 ?4 ids -> 1 if a row between these ended at it; by [job_list]
SELECT 1 FROM [job] INDEXED BY [job_list] WHERE list = ?1 AND place = ?2 AND id > ?3 AND id < ?4 LIMIT 1
