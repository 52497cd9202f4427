-- SPDX-License-Identifier: MIT
-- ?1 of, ?2 name -> concurrency, rate, rate_period, quota, quota_period, plan
SELECT concurrency, rate, rate_period, quota, quota_period, plan FROM [limit] WHERE of = ?1 AND name = ?2
