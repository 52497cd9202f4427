-- SPDX-License-Identifier: MIT
-- ?1 list -> the earliest run_at of rows that are not due yet
SELECT place FROM [job] WHERE list = ?1 ORDER BY place LIMIT 1
