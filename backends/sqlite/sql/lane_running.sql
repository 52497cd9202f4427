-- SPDX-License-Identifier: MIT
-- ?1 tenant -> how many of its rows run in all queues
SELECT coalesce(sum(running), 0) FROM [lane] WHERE tenant = ?1
