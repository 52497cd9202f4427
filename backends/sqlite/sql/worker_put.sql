-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 nonce, ?3 host, ?4 pid, ?5 started_at, ?6 now, ?7 lease, ?8 queues, ?9 kinds, ?10 capacity, ?11 running.
-- What an operator asked stays.
INSERT INTO [worker](name, nonce, host, pid, started_at, seen_at, lease, queues, kinds, capacity, running)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (name, nonce) DO UPDATE SET host = ?3, pid = ?4, started_at = ?5, seen_at = ?6, lease = ?7, queues = ?8,
    kinds = ?9, capacity = ?10, running = ?11
