-- SPDX-License-Identifier: MIT
-- ?1 ours -> names of others in this file
SELECT substr(name, 1, length(name) - 5) AS other FROM sqlite_schema AS m
WHERE type = 'table' AND name LIKE '%\_meta' ESCAPE '\' AND other <> ?1 AND other <> ''
    AND EXISTS (SELECT 1 FROM sqlite_schema AS w WHERE w.type = 'table' AND w.name = other || '_worker')
    AND EXISTS (SELECT 1 FROM sqlite_schema AS q WHERE q.type = 'table' AND q.name = other || '_queue')
ORDER BY 1
