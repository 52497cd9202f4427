-- SPDX-License-Identifier: MIT
-- ?1 boot, ?2 anchor, ?3 high
UPDATE [meta] SET boot = ?1, anchor = ?2, high = ?3 WHERE one = 1
