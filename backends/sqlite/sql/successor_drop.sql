-- SPDX-License-Identifier: MIT
-- ?1 scope
DELETE FROM [successor] WHERE scope = ?1
