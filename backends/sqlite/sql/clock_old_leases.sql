-- SPDX-License-Identifier: MIT
-- ?1 now. Whoever held a lease before the machine started anew is gone.
UPDATE [job] SET lease_until = ?1, place = ?1 WHERE list = 0 AND place > ?1
