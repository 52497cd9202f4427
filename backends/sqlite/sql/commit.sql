-- SPDX-License-Identifier: MIT
-- Durable on return with synchronous FULL.
COMMIT
