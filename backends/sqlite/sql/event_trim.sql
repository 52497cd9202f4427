-- SPDX-License-Identifier: MIT
-- ?1 the newest cursor that is no longer kept
DELETE FROM [event] WHERE cursor <= ?1
