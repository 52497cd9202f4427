-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 now -> running rows whose lease is past; by [job_lease]
SELECT count(*) FROM [job] WHERE lease_until <= ?2 AND queue = ?1
