-- SPDX-License-Identifier: MIT
-- ?1 job, ?2 the newest that goes
DELETE FROM [log] WHERE job = ?1 AND seq <= ?2
