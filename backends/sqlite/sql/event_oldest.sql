-- SPDX-License-Identifier: MIT
-- -> the oldest cursor that is kept
SELECT min(cursor) FROM [event]
