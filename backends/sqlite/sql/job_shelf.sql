-- SPDX-License-Identifier: MIT
-- ?1 n, ?2 shelf, ?3 place. Touches [job_shelf] only.
UPDATE [job] SET shelf = ?2, place = ?3 WHERE n = ?1
