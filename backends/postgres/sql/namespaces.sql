-- SPDX-License-Identifier: MIT
-- other stores of this database
SELECT * FROM @.stats_namespaces()
