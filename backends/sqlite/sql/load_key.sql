-- SPDX-License-Identifier: MIT
-- ?1 scope, ?2 job, ?3 hold, ?4 until, ?5 digest, ?6 ended, ?7 fades. Whoever had it has lost it already.
INSERT OR REPLACE INTO [key](scope, job, hold, until, digest, ended, fades) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
