-- SPDX-License-Identifier: MIT
-- ?1 fence. The same page as the counts of the first queues.
UPDATE [queue] SET fence = ?1 WHERE id = 0
