-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 the only kind wanted, NULL for more than one, ?3 the least place -> enum row_column; by rank, then arrival.
-- Other kinds are passed by in [job_list] alone. Read as far as needed.
SELECT n, id, state, queue, kind, flags, list, place, run_at, created_at, attempt, token, worker, started_at, stop_at,
    length(payload), rest, lane, tenant, policy, key, trace, progress, payload, NULL, data
FROM [job] WHERE list = ?1 AND place >= ?3 AND (?2 IS NULL OR kind = ?2) ORDER BY place, n
