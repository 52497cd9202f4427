-- SPDX-License-Identifier: MIT
-- ?1 number of a queue
INSERT INTO [tally](queue) VALUES (?1)
