-- SPDX-License-Identifier: MIT
-- ?1 cursor, ?2 at, ?3 job, ?4 queue, ?5 kind, ?6 worker, ?7 state, ?8 reason, ?9 attempt, ?10 run_at
INSERT INTO [event](cursor, at, job, queue, kind, worker, state, reason, attempt, run_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
