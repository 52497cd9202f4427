-- SPDX-License-Identifier: MIT
-- ?1 of, ?2 name, ?3 concurrency, ?4 rate, ?5 rate_period, ?6 quota, ?7 quota_period, ?8 plan
INSERT OR REPLACE INTO [limit](of, name, concurrency, rate, rate_period, quota, quota_period, plan)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
