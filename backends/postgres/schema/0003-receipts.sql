-- SPDX-License-Identifier: MIT
-- Step 3: what a short way answers has a receipt of part 0, as a unit has, and [more] says that it is for the want
-- too. It was part 2: then a repeat that came by the usual way while the first was not committed yet did not meet it,
-- and did everything once more.
DELETE FROM @.receipt AS r
WHERE r.part = 2 AND EXISTS (SELECT 1 FROM @.receipt AS u
                            WHERE u.client = r.client AND u.number = r.number AND u.part = 0);
UPDATE @.receipt AS r SET part = 0, more = false WHERE r.part = 2;
