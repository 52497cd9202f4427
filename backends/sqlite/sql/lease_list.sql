-- SPDX-License-Identifier: MIT
-- -> n, token of every running row, from the index of leases alone
SELECT n, token FROM [job] WHERE lease_until IS NOT NULL
