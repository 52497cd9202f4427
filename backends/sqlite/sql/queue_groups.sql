-- SPDX-License-Identifier: MIT
-- -> how many queues have met groups; 2 for more
SELECT count(*) FROM (SELECT 1 FROM [queue] WHERE grouped = 1 LIMIT 2)
