-- SPDX-License-Identifier: MIT
-- -> the earliest instant at which a row is or was overdue
SELECT alarm FROM [job] WHERE alarm IS NOT NULL
UNION ALL SELECT lease_until FROM [job] WHERE lease_until IS NOT NULL
ORDER BY 1 LIMIT 1
