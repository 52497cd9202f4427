-- SPDX-License-Identifier: MIT
-- ?1 job, ?2 seq, ?3 attempt, ?4 kind, ?5 at, ?6 worker, ?7 text
INSERT INTO [error](job, seq, attempt, kind, at, worker, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
