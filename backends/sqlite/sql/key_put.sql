-- SPDX-License-Identifier: MIT
-- ?1 scope, ?2 job, ?3 hold, ?4 until. Whoever had it has lost it already.
INSERT OR REPLACE INTO [key](scope, job, hold, until, digest, ended) VALUES (?1, ?2, ?3, ?4, x'', 0)
