-- SPDX-License-Identifier: MIT
-- ?1 child, ?2 parent, ?3 rule, ?4 hard. A parent named twice counts once, by its first rule.
INSERT INTO [edge](child, parent, rule, hard, open) VALUES (?1, ?2, ?3, ?4, 1) ON CONFLICT DO NOTHING
