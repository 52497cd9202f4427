-- SPDX-License-Identifier: MIT
-- ?1 slot -> bytes
SELECT bytes FROM [bulk] WHERE slot = ?1
