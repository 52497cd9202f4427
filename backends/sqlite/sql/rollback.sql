-- SPDX-License-Identifier: MIT
-- Nothing of it has happened.
ROLLBACK
