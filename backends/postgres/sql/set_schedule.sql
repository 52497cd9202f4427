-- SPDX-License-Identifier: MIT
-- The parameters are those of the function, in its order.
SELECT @.set_schedule($1, $2, $3, $4, $5, $6, $7)
