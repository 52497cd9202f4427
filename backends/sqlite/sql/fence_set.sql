-- SPDX-License-Identifier: MIT
-- ?1 fence: the newest that may have been drawn. The same page as the counts of the first queues.
UPDATE [tally] SET fence = ?1 WHERE queue = 0
