-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 end of the lease
UPDATE [job] SET place = ?2 WHERE n = ?1
