-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 state, ?3 limit, ?4 how many to pass by -> n, finished_at, children; oldest first, by [job_ended]
SELECT n, finished_at, children FROM [job] WHERE queue = ?1 AND state = ?2 AND finished_at IS NOT NULL
ORDER BY finished_at, id LIMIT ?3 OFFSET ?4
