-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 instant. All that ended up to then, by [job_list]; nothing hangs on them.
DELETE FROM [job] WHERE list = ?1 AND place <= ?2
