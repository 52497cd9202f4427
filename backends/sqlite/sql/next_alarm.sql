-- SPDX-License-Identifier: MIT
-- ?1 now -> the next deadline or expiry
SELECT alarm FROM [job] WHERE alarm > ?1 ORDER BY alarm LIMIT 1
