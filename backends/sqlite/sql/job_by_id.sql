-- SPDX-License-Identifier: MIT
-- ?1 id -> enum row_column
SELECT n, id, state, queue, kind, flags, list, place, run_at, created_at, attempt, token, worker, started_at, stop_at,
    length(payload), rest, lane
FROM [job] WHERE id = ?1
