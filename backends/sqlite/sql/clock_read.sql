-- SPDX-License-Identifier: MIT
-- -> boot, anchor, high, shift, newest fence
SELECT m.boot, m.anchor, m.high, m.shift, q.fence FROM [meta] AS m, [queue] AS q WHERE m.one = 1 AND q.id = 0
