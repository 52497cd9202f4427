-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 enum jobq_read_flags -> enum row_column. Payload and result may be large: not touched unless asked for.
SELECT n, id, state, queue, kind, flags, list, place, run_at, created_at, attempt, token, worker, started_at, stop_at,
    length(payload), rest, lane, tenant, policy, key, trace, progress,
    CASE WHEN ?2 & 1 THEN payload END, CASE WHEN ?2 & 2 THEN result END, CASE WHEN ?2 & 1 THEN data END
FROM [job] WHERE n = ?1
