-- SPDX-License-Identifier: MIT
-- The parameters are those of the function, in its order.
SELECT * FROM @.dump_order($1, $2)
