-- SPDX-License-Identifier: MIT
-- ?1 id -> state
SELECT state FROM [job] WHERE id = ?1
