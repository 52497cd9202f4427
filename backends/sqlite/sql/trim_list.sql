-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 limit, ?3 how many to pass by -> n, finished_at, children, flags, whether it has neither errors nor a key;
-- oldest first, by [job_list]; those that ended in one exchange by id
SELECT n, finished_at, children, flags, errors = 0 AND key_scope IS NULL
FROM [job] WHERE list = ?1 ORDER BY place, id LIMIT ?2 OFFSET ?3
