-- SPDX-License-Identifier: MIT
-- ?1 child, ?2 parent, ?3 rule, ?4 hard.
INSERT INTO [edge](child, parent, rule, hard, open) VALUES (?1, ?2, ?3, ?4, 1)
