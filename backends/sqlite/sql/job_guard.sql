-- SPDX-License-Identifier: MIT
-- ?1 id -> what the guards ask of a row that completes, and what would make that more than a plain end
SELECT n, queue, state, flags, edits, outcome, token, children, key_scope IS NOT NULL FROM [job] WHERE id = ?1
