-- SPDX-License-Identifier: MIT
-- A job as it is, with every column of enum row_column and its bytes.
INSERT INTO [job](id, state, queue, kind, flags, list, place, alarm, run_at, created_at, attempt, token, worker,
    started_at, stop_at, rest, tenant, policy, key, trace, progress, payload, result, data, lane)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
    ?23, ?24, ?25)
