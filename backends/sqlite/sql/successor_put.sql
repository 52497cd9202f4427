-- SPDX-License-Identifier: MIT
-- ?1 scope, ?2 id, ?3 queue, ?4 kind, ?5 tenant, ?6 payload, ?7 policy, ?8 key, ?9 trace, ?10 priority, ?11 rank_add,
-- ?12 ?13 run_at, ?14 ?15 expires_at, ?16 timeout, ?17 held, ?18 hold, ?19 window, ?20 digest. The newest wins.
INSERT OR REPLACE INTO [successor](scope, id, queue, kind, tenant, payload, policy, key, trace, priority, rank_add,
    run_base, run_offset, expires_base, expires_offset, timeout, held, hold, window, digest)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
