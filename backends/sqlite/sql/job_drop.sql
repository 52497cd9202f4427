-- SPDX-License-Identifier: MIT
-- ?1 n
DELETE FROM [job] WHERE n = ?1
