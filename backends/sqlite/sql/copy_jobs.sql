-- SPDX-License-Identifier: MIT
-- ?1 n after which -> n, in order of arrival
SELECT n FROM [job] WHERE n > ?1 ORDER BY n
