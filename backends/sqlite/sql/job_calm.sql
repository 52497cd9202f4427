-- SPDX-License-Identifier: MIT
-- ?1 n. What a claim takes away from the few rows that have it.
UPDATE [job] SET alarm = NULL, progress = NULL WHERE n = ?1
