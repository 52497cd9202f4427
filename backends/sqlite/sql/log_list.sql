-- SPDX-License-Identifier: MIT
-- ?1 job -> attempt, 0, at, worker, text, oldest first
SELECT attempt, 0, at, worker, text FROM [log] WHERE job = ?1 ORDER BY seq
