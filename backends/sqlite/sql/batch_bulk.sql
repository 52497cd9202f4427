-- SPDX-License-Identifier: MIT
-- ?1 first n, ?2 last. What stands outside of rows that go.
DELETE FROM [bulk] WHERE slot BETWEEN 4 * ?1 AND 4 * ?2 + 3
