-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 the flag
UPDATE [job] SET flags = flags | ?2 WHERE n = ?1
