-- SPDX-License-Identifier: MIT
-- ?1 now -> the living ones
SELECT name, host, queues, kinds, pid, started_at, seen_at, lease, capacity, running, stop_asked
FROM [worker] WHERE (?1 - seen_at) / 10 < lease ORDER BY name, nonce
