-- SPDX-License-Identifier: MIT
-- The parameters are those of the function, in its order.
SELECT * FROM @.limits_queues($1, $2, $3)
