-- SPDX-License-Identifier: MIT
-- ?1 tenant, ?2 queue -> id, ready
SELECT id, ready FROM [lane] WHERE tenant = ?1 AND queue = ?2
