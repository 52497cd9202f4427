-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 token, ?3 lease_until, ?4 flags. All else stays as the lost holder left it.
UPDATE [job] SET token = ?2, lease_until = ?3, place = ?3, flags = ?4, outcome = 0 WHERE n = ?1
