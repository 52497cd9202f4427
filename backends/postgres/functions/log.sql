-- SPDX-License-Identifier: MIT
-- Lines of log: what the elements p_first to p_last of p_lines say, in this order, and the newest hundred stay. Whoever
-- calls holds the lock of the row. The first line of a row, which is told by its flag, looks for no other; the rest
-- look at the end of their own part of the primary key.
CREATE OR REPLACE FUNCTION @.log_add(j @.job, p_now bigint, p_lines bytea[], p_first integer, p_last integer)
    RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_kept integer := greatest(p_first, p_last - 99);
    v_seq bigint := 0;
BEGIN
    IF j.flags & 512 <> 0 THEN
        v_seq := (SELECT l.seq FROM @.log AS l WHERE l.job = j.id ORDER BY l.seq DESC LIMIT 1);
    END IF;
    INSERT INTO @.log (job, seq, attempt, at, worker, text)
    SELECT j.id, v_seq + i - v_kept + 1, least(j.attempt, 2147483647), p_now, j.worker, p_lines[i]
    FROM generate_series(v_kept, p_last) AS i;
    v_seq := v_seq + p_last - v_kept + 1;
    IF v_seq > 100 THEN
        DELETE FROM @.log AS l WHERE l.job = j.id AND l.seq <= v_seq - 100;
    END IF;
END $$;
