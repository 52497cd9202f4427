-- SPDX-License-Identifier: MIT
-- ?1 scope, ?2 job, ?3 digest of its payload: the row of the job, which has it, is about to go
UPDATE [key] SET digest = ?3 WHERE scope = ?1 AND job = ?2
