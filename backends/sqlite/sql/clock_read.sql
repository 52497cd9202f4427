-- SPDX-License-Identifier: MIT
-- -> boot, anchor, high, shift, newest fence, how many events are kept, cursor of the newest, whether there are batches
SELECT m.boot, m.anchor, m.high, m.shift, t.fence, m.events, m.event, EXISTS (SELECT 1 FROM [batch])
FROM [meta] AS m, [tally] AS t WHERE m.one = 1 AND t.queue = 0
