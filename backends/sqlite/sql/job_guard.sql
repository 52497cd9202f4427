-- SPDX-License-Identifier: MIT
-- ?1 id -> what the guards ask of a row that completes, what would make that more than a plain end, and where it stands
SELECT n, state, queue, flags, token, rest, started_at, lane, list, place FROM [job] WHERE id = ?1
