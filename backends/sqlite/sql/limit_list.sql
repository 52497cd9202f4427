-- SPDX-License-Identifier: MIT
-- ?1 of, ?2 name, ?3 1: not this one, 0: this one too, ?4 limit -> concurrency, rate, rate_period, quota, quota_period,
-- plan, name; by bytes
SELECT concurrency, rate, rate_period, quota, quota_period, plan, name FROM [limit]
WHERE of = ?1 AND name >= ?2 AND (?3 = 0 OR name > ?2) ORDER BY name LIMIT ?4
