-- SPDX-License-Identifier: MIT
-- ?1 now. A few at a time, by [key_fades].
DELETE FROM [key] WHERE scope IN (SELECT scope FROM [key] WHERE fades <= ?1 ORDER BY fades, scope LIMIT 16)
