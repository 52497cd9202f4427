-- SPDX-License-Identifier: MIT
-- ?1 tenant, ?2 queue -> id, ready, place and n of the front
SELECT id, ready, front_place, front_n FROM [lane] WHERE tenant = ?1 AND queue = ?2
