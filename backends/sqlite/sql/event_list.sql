-- SPDX-License-Identifier: MIT
-- ?1 after, ?2 limit -> cursor, at, job, queue, kind, worker, state, reason, attempt, run_at
SELECT e.cursor, e.at, e.job, q.name, k.name, e.worker, e.state, e.reason, e.attempt, e.run_at
FROM [event] AS e JOIN [queue] AS q ON q.id = e.queue JOIN [kind] AS k ON k.id = e.kind
WHERE e.cursor > ?1 ORDER BY e.cursor LIMIT ?2
