-- SPDX-License-Identifier: MIT
-- In a transaction of the program: what follows happens as a whole or not.
SAVEPOINT [unit]
