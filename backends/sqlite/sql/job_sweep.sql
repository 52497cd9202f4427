-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 token, ?3 end of the lease, ?4 flags. All else stays as the lost holder left it.
UPDATE [job] SET token = ?2, place = ?3, flags = ?4 WHERE n = ?1
