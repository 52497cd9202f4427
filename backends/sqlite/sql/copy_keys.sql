-- SPDX-License-Identifier: MIT
-- ?1 scope after which (NULL: from the first) -> scope, job, hold, until, digest, ended, state and rest of the job if
-- it is there
SELECT k.scope, k.job, k.hold, k.until, k.digest, k.ended, j.state, j.rest FROM [key] AS k
    LEFT JOIN [job] AS j ON j.id = k.job
WHERE ?1 IS NULL OR k.scope > ?1 ORDER BY k.scope
