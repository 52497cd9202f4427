-- SPDX-License-Identifier: MIT
-- -> boot, anchor, high, shift
SELECT boot, anchor, high, shift FROM [meta] WHERE one = 1
