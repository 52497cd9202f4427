-- SPDX-License-Identifier: MIT
-- ?1 parent, ?2 difference. An ended row with children that wait for a decision is overdue since it ended.
UPDATE [job] SET children = children + ?2,
    alarm = CASE WHEN finished_at IS NULL THEN alarm WHEN children + ?2 > 0 THEN finished_at END
WHERE id = ?1
