-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 the earliest end -> n, when it ended, flags, rest, id; oldest first, by [job_list]. Read as far as
-- needed.
SELECT n, place, flags, rest, id FROM [job] WHERE list = ?1 AND place >= ?2 ORDER BY place, n
