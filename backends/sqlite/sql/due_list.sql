-- SPDX-License-Identifier: MIT
-- ?1 list -> kind; by rank, then arrival, from [job_list] alone. Read as far as needed.
SELECT kind FROM [job] WHERE list = ?1 ORDER BY place, n
