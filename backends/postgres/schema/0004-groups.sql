-- SPDX-License-Identifier: MIT
-- Step 4: members of batches may have groups. tenants: of each member its group, never changed; NULL where none has
-- one, as in all batches that are there.
ALTER TABLE @.batch ADD COLUMN tenants bytea[];
ALTER TABLE @.batch ALTER COLUMN tenants SET STORAGE EXTERNAL;
