-- SPDX-License-Identifier: MIT
-- The parameters are those of the function, in its order.
SELECT @.set_bound($1, $2, $3, $4, $5, $6, $7, $8, $9)
