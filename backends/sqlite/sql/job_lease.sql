-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 lease_until
UPDATE [job] SET lease_until = ?2, place = ?2 WHERE n = ?1
