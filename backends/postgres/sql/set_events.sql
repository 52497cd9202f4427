-- SPDX-License-Identifier: MIT
-- $1 how many are kept
SELECT @.set_events($1)
