-- SPDX-License-Identifier: MIT
-- ?1 id -> tenant, running
SELECT tenant, running FROM [lane] WHERE id = ?1
