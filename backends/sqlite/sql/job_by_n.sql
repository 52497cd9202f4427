-- SPDX-License-Identifier: MIT
-- ?1 n -> enum row_column
SELECT n, id, state, queue, kind, flags, edits, outcome, token, lease_until, stop_at, list, reason, run_at, rank_add,
    priority, attempt, failures, crashes, snoozes, releases, redrives, pending, errors, created_at, started_at,
    finished_at, expires_at, callback_until, timeout, callback, payload_bytes, worker,
    children, key_scope, key_digest, key_hold, key_until
FROM [job] WHERE n = ?1
