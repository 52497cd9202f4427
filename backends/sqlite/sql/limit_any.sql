-- SPDX-License-Identifier: MIT
-- -> 1 if a group or a plan has limits
SELECT 1 FROM [limit] LIMIT 1
