-- SPDX-License-Identifier: MIT
-- -> the newest fence
SELECT fence FROM [queue] WHERE id = 0
