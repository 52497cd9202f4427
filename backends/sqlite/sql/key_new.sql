-- SPDX-License-Identifier: MIT
-- ?1 scope, ?2 job, ?3 hold, ?4 until. Nothing happens if the key has a row, held or not.
INSERT INTO [key](scope, job, hold, until, digest, ended) VALUES (?1, ?2, ?3, ?4, x'', 0) ON CONFLICT (scope) DO NOTHING
