-- SPDX-License-Identifier: MIT
-- ?1 now, ?2 limit -> at, n; oldest first, then by arrival: [job_alarm] and [job_lease] merged
SELECT alarm, n FROM [job] WHERE alarm <= ?1
UNION ALL SELECT lease_until, n FROM [job] WHERE lease_until <= ?1
ORDER BY 1, 2 LIMIT ?2
