-- SPDX-License-Identifier: MIT
-- $1 name of a worker
SELECT @.set_stop($1)
