-- SPDX-License-Identifier: MIT
-- ?1 now. A few at a time, by [gauge_fades].
DELETE FROM [gauge] WHERE (of, name) IN (SELECT of, name FROM [gauge] WHERE fades <= ?1 ORDER BY fades LIMIT 16)
