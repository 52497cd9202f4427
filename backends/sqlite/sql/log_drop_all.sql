-- SPDX-License-Identifier: MIT
-- ?1 job
DELETE FROM [log] WHERE job = ?1
