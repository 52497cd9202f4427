-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 bits of flags
UPDATE [job] SET flags = flags | ?2 WHERE n = ?1
