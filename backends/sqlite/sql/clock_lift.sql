-- SPDX-License-Identifier: MIT
-- ?1 by how much
UPDATE [meta] SET anchor = anchor + ?1 WHERE one = 1
