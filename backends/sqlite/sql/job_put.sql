-- SPDX-License-Identifier: MIT
-- A new job; nothing happens if the id exists.
INSERT INTO [job](id, state, queue, kind, flags, list, place, alarm, run_at, created_at, rest, tenant,
    policy, key, trace, payload, lane)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
ON CONFLICT (id) DO NOTHING
