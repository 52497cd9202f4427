-- SPDX-License-Identifier: MIT
-- ?1 job -> the newest seq, 0 when there is none
SELECT ifnull(max(seq), 0) FROM [log] WHERE job = ?1
