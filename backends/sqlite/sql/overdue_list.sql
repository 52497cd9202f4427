-- SPDX-License-Identifier: MIT
-- ?1 now, ?2 limit -> at, n; oldest first, then by arrival: [job_alarm] and the list of what runs merged
SELECT alarm, n FROM [job] WHERE alarm <= ?1
UNION ALL SELECT place, n FROM [job] WHERE list = 0 AND place <= ?1
ORDER BY 1, 2 LIMIT ?2
