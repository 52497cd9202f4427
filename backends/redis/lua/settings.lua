-- SPDX-License-Identifier: MIT
-- Queues that are known. Answer: name and string of each.

return call('HGETALL', QUEUES)
