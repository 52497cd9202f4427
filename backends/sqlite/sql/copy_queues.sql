-- SPDX-License-Identifier: MIT
-- ?1 name after which (NULL: from the first) -> id, name; by the index of names
SELECT id, name FROM [queue] WHERE ?1 IS NULL OR name > ?1 ORDER BY name
