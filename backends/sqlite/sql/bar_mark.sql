-- SPDX-License-Identifier: MIT
-- -> 1 in the transaction that [meta] was barred in, 0 when that was rolled back
SELECT bar FROM [meta] WHERE one = 1
