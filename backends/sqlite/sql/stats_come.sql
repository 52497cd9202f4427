-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 now, ?3 bound -> how many without the due bit have come due; by [job_shelf]
SELECT count(*) FROM (SELECT 1 FROM [job] WHERE queue = ?1 AND shelf = 3 AND place <= ?2 LIMIT ?3)
