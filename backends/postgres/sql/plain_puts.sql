-- SPDX-License-Identifier: MIT
-- The parameters are those of the function, in its order.
SELECT @.plain_puts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
