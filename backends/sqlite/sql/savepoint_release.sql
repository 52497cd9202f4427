-- SPDX-License-Identifier: MIT
-- It happened, if the program commits.
RELEASE [unit]
