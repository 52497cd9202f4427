-- SPDX-License-Identifier: MIT
-- ?1 by how much. The leases only; saturating.
UPDATE [batch] SET place = min(place, 9223372036854775807 - ?1) + ?1 WHERE list = 0
