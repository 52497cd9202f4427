-- SPDX-License-Identifier: MIT
-- Rows in order of arrival, after $1, at most $2. No index has this order, which no claim asks for: many at once.
SELECT j.n, j.id FROM @.job AS j WHERE j.n > $1 ORDER BY j.n LIMIT $2
