-- SPDX-License-Identifier: MIT
-- ?1 job -> attempt, kind, at, worker, text, oldest first
SELECT attempt, kind, at, worker, text FROM [error] WHERE job = ?1 ORDER BY seq
