-- SPDX-License-Identifier: MIT
-- ?1 id -> queue, place and n of the front, the lowest place before it where something waits
SELECT queue, front_place, front_n, early FROM [lane] WHERE id = ?1
