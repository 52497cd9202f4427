-- SPDX-License-Identifier: MIT
-- Step 3: rows of groups are members of records, too (batch.c). queue in [batch] is then below 0: the rows stand in the
-- lists of their lanes.

-- Where what waits in a lane begins. front: members stand up to here only, at lower places and at this place up to this
-- n, and nothing else does but what came there later. early: the lowest place of that; NULL: there is none.
ALTER TABLE [lane] ADD COLUMN front_place INTEGER NOT NULL DEFAULT -9223372036854775808;
ALTER TABLE [lane] ADD COLUMN front_n INTEGER NOT NULL DEFAULT 0;
ALTER TABLE [lane] ADD COLUMN early INTEGER;
