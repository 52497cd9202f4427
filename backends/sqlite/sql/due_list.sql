-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 shelf -> n, kind; by rank, then arrival, from [job_shelf] alone. Read as far as needed.
SELECT n, kind FROM [job] WHERE queue = ?1 AND shelf = ?2 ORDER BY place, n
