-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 enum jobq_read_flags -> enum row_column. Payload and result may be large: not touched unless asked for.
SELECT n, id, state, queue, kind, flags, edits, outcome, token, lease_until, stop_at, list, reason, run_at, rank_add,
    priority, attempt, failures, crashes, snoozes, releases, redrives, pending, errors, created_at, started_at,
    finished_at, expires_at, callback_until, timeout, callback, payload_bytes, worker,
    tenant, policy, key, trace, progress,
    CASE WHEN ?2 & 1 THEN payload END, CASE WHEN ?2 & 2 THEN result END, CASE WHEN ?2 & 1 THEN data END, key_hold
FROM [job] WHERE n = ?1
