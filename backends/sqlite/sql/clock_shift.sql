-- SPDX-License-Identifier: MIT
-- ?1 by how much tests move the clock
UPDATE [meta] SET shift = shift + ?1 WHERE one = 1
