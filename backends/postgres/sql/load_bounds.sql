-- SPDX-License-Identifier: MIT
-- The parameters are those of the function, in its order.
SELECT @.load_bounds($1, $2, $3)
