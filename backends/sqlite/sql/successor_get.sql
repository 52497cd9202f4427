-- SPDX-License-Identifier: MIT
-- ?1 scope -> all the rest, in the order in which it was put
SELECT id, queue, kind, tenant, payload, policy, key, trace, priority, rank_add, run_base, run_offset, expires_base,
    expires_offset, timeout, held, hold, window, digest
FROM [successor] WHERE scope = ?1
