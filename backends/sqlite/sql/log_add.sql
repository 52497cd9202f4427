-- SPDX-License-Identifier: MIT
-- ?1 job, ?2 seq, ?3 attempt, ?4 at, ?5 worker, ?6 text
INSERT INTO [log](job, seq, attempt, at, worker, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
