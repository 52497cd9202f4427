-- SPDX-License-Identifier: MIT
-- ?1 tenant, ?2 queue
INSERT INTO [lane](tenant, queue) VALUES (?1, ?2)
