-- SPDX-License-Identifier: MIT
-- ?1 now. Not heard of for ten leases.
DELETE FROM [worker] WHERE (?1 - seen_at) / 10 >= lease
