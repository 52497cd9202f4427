-- SPDX-License-Identifier: MIT
-- ?1 scope -> job, hold, until, digest, ended
SELECT job, hold, until, digest, ended FROM [key] WHERE scope = ?1
