-- SPDX-License-Identifier: MIT
-- ?1 job
DELETE FROM [error] WHERE job = ?1
