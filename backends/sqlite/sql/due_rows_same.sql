-- SPDX-License-Identifier: MIT
-- ?1 list, ?2 the only kind wanted, NULL for more than one, ?3 ?4 place and n of the row before -> enum row_column of the
-- rows behind it at this place. A comparison of both at once would walk over all rows of the place.
SELECT n, id, state, queue, kind, flags, list, place, run_at, created_at, attempt, token, worker, started_at, stop_at,
    length(payload), rest, lane, tenant, policy, key, trace, progress, payload, NULL, data
FROM [job] WHERE list = ?1 AND place = ?3 AND n > ?4 AND (?2 IS NULL OR kind = ?2) ORDER BY n
