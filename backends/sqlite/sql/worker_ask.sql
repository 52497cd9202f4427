-- SPDX-License-Identifier: MIT
-- ?1 name, ?2 now. The living ones of this name.
UPDATE [worker] SET stop_asked = 1 WHERE name = ?1 AND (?2 - seen_at) / 10 < lease
