-- SPDX-License-Identifier: MIT
-- ?1 now -> the next run_at. One look into [job_list] for each queue that has rows which are not due yet.
SELECT min((SELECT place FROM [job] WHERE list = 16 * t.queue + 3 AND place > ?1 ORDER BY place LIMIT 1))
FROM [tally] AS t WHERE t.later > 0
