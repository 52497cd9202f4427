-- SPDX-License-Identifier: MIT
-- -> the earliest instant at which a row is or was overdue
SELECT alarm FROM [job] WHERE alarm IS NOT NULL
UNION ALL SELECT place FROM [job] WHERE list = 0
ORDER BY 1 LIMIT 1
