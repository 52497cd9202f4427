-- SPDX-License-Identifier: MIT
-- ?1 child, ?2 parent, ?3 rule, ?4 hard, ?5 open
INSERT INTO [edge](child, parent, rule, hard, open) VALUES (?1, ?2, ?3, ?4, ?5)
