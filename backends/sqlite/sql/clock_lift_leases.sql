-- SPDX-License-Identifier: MIT
-- ?1 by how much. The running rows only; saturating.
UPDATE [job] SET place = min(place, 9223372036854775807 - ?1) + ?1,
    stop_at = min(stop_at, 9223372036854775807 - ?1) + ?1
WHERE list = 0
