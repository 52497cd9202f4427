-- SPDX-License-Identifier: MIT
-- $1 ms
SELECT @.set_clock($1)
