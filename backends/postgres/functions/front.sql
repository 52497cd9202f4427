-- SPDX-License-Identifier: MIT
-- Where the front of an index was. A snapshot that somebody keeps open keeps everything dead behind it, and a scan from
-- the front passes by all that was ever taken from there. So a handle remembers where it met the first row, begins
-- there the next time, and looks from the very front now and then.
--
-- What makes it right: a row that enters a shelf stands at the present time or behind it, but for those with a rank of
-- their own, those that keep their rank, those whose time came unseen, and those of a copy. Whoever puts one of these
-- more than a second before the present draws from [jump]; a front that was noted before a draw is not used. A front is
-- never noted later than two seconds ago, so that transactions under way find room behind it; what a longer one leaves
-- before it, or a row that was locked when others were met, is found by the look from the very front.

CREATE OR REPLACE FUNCTION @.nowhere() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT -9223372036854775807 - 1';

-- A row is put there.
CREATE OR REPLACE FUNCTION @.jump_before(p_place bigint, p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_place < p_now - 1000 THEN
        PERFORM nextval('@.jump');
    END IF;
END $$;

-- By the right to draw from it, which whoever puts has; to select from it would ask for another.
CREATE OR REPLACE FUNCTION @.jumps() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN coalesce(pg_sequence_last_value('@.jump'::regclass), 0);
END $$;

-- Places of queues as far as they still hold: {jump, 0, places}. p_from: {jump, any, places}.
CREATE OR REPLACE FUNCTION @.front_places(p_from bigint[], p_jump bigint, p_queues integer) RETURNS bigint[]
    LANGUAGE plpgsql AS $$
BEGIN
    IF p_from[1] = p_jump AND cardinality(p_from) = p_queues + 2 THEN
        RETURN ARRAY[p_jump, 0] || p_from[3:];
    END IF;
    RETURN ARRAY[p_jump, 0] || array_fill(@.nowhere(), ARRAY[p_queues]);
END $$;

-- The same for ended rows is {jump, then queue, state, place of each}, at most eight.
CREATE OR REPLACE FUNCTION @.front_of(p_from bigint[], p_queue integer, p_state integer) RETURNS bigint
    LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 2 .. cardinality(p_from) - 2 BY 3 LOOP
        IF p_from[i] = p_queue AND p_from[i + 1] = p_state THEN
            RETURN p_from[i + 2];
        END IF;
    END LOOP;
    RETURN @.nowhere();
END $$;

-- The newest stands first.
CREATE OR REPLACE FUNCTION @.front_note(p_from bigint[], p_queue integer, p_state integer, p_place bigint)
    RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE v_from bigint[] := ARRAY[p_from[1], p_queue, p_state, p_place];
BEGIN
    FOR i IN 2 .. cardinality(p_from) - 2 BY 3 LOOP
        IF NOT (p_from[i] = p_queue AND p_from[i + 1] = p_state) THEN
            v_from := v_from || p_from[i : i + 2];
        END IF;
    END LOOP;
    RETURN v_from;
END $$;
