-- SPDX-License-Identifier: MIT
-- -> whether a group or a plan has limits of its own; no row when there are none at all
SELECT EXISTS (SELECT 1 FROM [limit] WHERE of <> 2 OR name <> x'') FROM [limit] LIMIT 1
