-- SPDX-License-Identifier: MIT
-- $1 name of a queue, NULL for all
SELECT * FROM @.stats_kinds($1, @.clock())
