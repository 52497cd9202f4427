-- SPDX-License-Identifier: MIT
-- ?1 queue, ?2 now -> running rows whose lease is past
SELECT (SELECT count(*) FROM [job] WHERE list = 0 AND place <= ?2 AND queue = ?1)
    + (SELECT coalesce(sum(last - first + 1), 0) FROM [batch] WHERE list = 0 AND place <= ?2 AND queue IN (?1, -?1))
