-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 1: not this one, 0: this one too, ?3 limit -> id, name of those that have a limit; by the index of names
SELECT id, name FROM [queue]
WHERE name >= ?1 AND (?2 = 0 OR name > ?1)
    AND coalesce(depth, concurrency, group_concurrency, rate) IS NOT NULL
ORDER BY name LIMIT ?3
