-- SPDX-License-Identifier: MIT
-- A new job; nothing happens if the id exists.
INSERT INTO [job](id, state, queue, kind, flags, list, place, alarm, reason, run_at, rank_add, priority, pending,
    created_at, timeout, key_scope, key_digest, key_hold, key_until, payload_bytes, tenant, policy, key, trace, payload,
    expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25,
    ?8)
ON CONFLICT (id) DO NOTHING
