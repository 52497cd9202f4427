-- SPDX-License-Identifier: MIT
-- ?1 queue -> the earliest run_at of rows that are not due yet
SELECT place FROM [job] WHERE queue = ?1 AND shelf = 3 ORDER BY place LIMIT 1
