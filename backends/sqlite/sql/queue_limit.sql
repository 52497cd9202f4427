-- SPDX-License-Identifier: MIT
-- ?1 id, ?2 depth, ?3 concurrency, ?4 group_concurrency, ?5 rate, ?6 rate_period; NULL for none
UPDATE [queue] SET depth = ?2, concurrency = ?3, group_concurrency = ?4, rate = ?5, rate_period = ?6 WHERE id = ?1
