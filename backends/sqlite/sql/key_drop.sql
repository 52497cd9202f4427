-- SPDX-License-Identifier: MIT
-- ?1 scope, ?2 job: only if it is still its
DELETE FROM [key] WHERE scope = ?1 AND job = ?2
