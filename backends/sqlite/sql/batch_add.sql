-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 rank, ?3 first n, ?4 last, ?5 list, ?6 place, ?7 flags, ?8 started_at, ?9 token, ?10 worker
INSERT INTO [batch](queue, rank, first, last, list, place, flags, started_at, token, worker)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
