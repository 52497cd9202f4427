-- SPDX-License-Identifier: MIT
-- ?1 now. Whoever held a lease before the machine started anew is gone.
UPDATE [batch] SET place = ?1 WHERE list = 0 AND place > ?1
