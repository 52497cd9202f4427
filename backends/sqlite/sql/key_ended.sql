-- SPDX-License-Identifier: MIT
-- ?1 scope, ?2 job, ?3 state it ended in or 0, ?4 when the window is over
UPDATE [key] SET ended = ?3, fades = ?4 WHERE scope = ?1 AND job = ?2 AND ended <> ?3
