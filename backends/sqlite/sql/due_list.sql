-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 the least place -> kind, place, n; by rank, then arrival, from [job_list] alone. Read as far as needed.
SELECT kind, place, n FROM [job] WHERE list = ?1 AND place >= ?2 ORDER BY place, n
