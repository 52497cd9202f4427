-- SPDX-License-Identifier: MIT
-- the living ones
SELECT name, host, queues, kinds, pid, started_at, seen_at, lease, capacity, running, stop_asked
FROM @.stats_workers(@.clock())
