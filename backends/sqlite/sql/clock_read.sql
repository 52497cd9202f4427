-- SPDX-License-Identifier: MIT
-- -> boot, anchor, high, shift, newest fence
SELECT m.boot, m.anchor, m.high, m.shift, t.fence FROM [meta] AS m, [tally] AS t WHERE m.one = 1 AND t.queue = 0
