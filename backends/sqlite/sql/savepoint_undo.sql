-- SPDX-License-Identifier: MIT
-- Nothing since the savepoint has happened; it is still there.
ROLLBACK TO [unit]
