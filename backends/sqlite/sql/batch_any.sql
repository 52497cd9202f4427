-- SPDX-License-Identifier: MIT
-- -> whether there are batches
SELECT EXISTS (SELECT 1 FROM [batch])
