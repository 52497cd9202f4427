-- SPDX-License-Identifier: MIT
-- ?1 slot
DELETE FROM [bulk] WHERE slot = ?1
