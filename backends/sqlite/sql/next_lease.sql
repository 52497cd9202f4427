-- SPDX-License-Identifier: MIT
-- ?1 now -> the next lease to end
SELECT lease_until FROM [job] WHERE lease_until > ?1 ORDER BY lease_until LIMIT 1
