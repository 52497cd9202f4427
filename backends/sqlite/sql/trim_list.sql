-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 limit, ?3 how many to pass by -> n, when it ended, flags, rest; oldest first, by [job_list]; those that
-- ended in one exchange by id
SELECT n, place, flags, rest FROM [job] WHERE list = ?1 ORDER BY place, id LIMIT ?2 OFFSET ?3
