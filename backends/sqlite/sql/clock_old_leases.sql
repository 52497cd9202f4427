-- SPDX-License-Identifier: MIT
-- ?1 now. Whoever held a lease before the machine started anew is gone.
UPDATE [job] SET lease_until = ?1 WHERE lease_until > ?1
