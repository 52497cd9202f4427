-- SPDX-License-Identifier: MIT
-- Tell who waits.
SELECT @.wake()
