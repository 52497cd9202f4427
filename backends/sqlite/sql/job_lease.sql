-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 lease_until. Touches [job_lease] only.
UPDATE [job] SET lease_until = ?2 WHERE n = ?1
