-- SPDX-License-Identifier: MIT
-- ?1 of, ?2 name -> bytes
SELECT bytes FROM [gauge] WHERE of = ?1 AND name = ?2
