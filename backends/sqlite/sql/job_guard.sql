-- SPDX-License-Identifier: MIT
-- ?1 id -> what the guards ask of a row that completes, and what would make that more than a plain end
SELECT n, state, queue, flags, token, rest, started_at, lane FROM [job] WHERE id = ?1
