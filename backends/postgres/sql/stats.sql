-- SPDX-License-Identifier: MIT
-- $1 name of a queue, NULL for all; $2 by how much the clock of tests differs is in @.clock()
SELECT * FROM @.stats_queues($1, @.clock())
