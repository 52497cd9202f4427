-- SPDX-License-Identifier: MIT
-- The first clock to come, of a row but one, or of a batch's lease.
CREATE OR REPLACE FUNCTION @.clock_next(p_now bigint, p_but uuid) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN least(
        (SELECT j.clock FROM @.job AS j WHERE j.clock > p_now AND j.id IS DISTINCT FROM p_but ORDER BY j.clock LIMIT 1),
        (SELECT b.lease_until FROM @.batch AS b WHERE b.lease_until > p_now
         ORDER BY b.lease_until LIMIT 1));
END $$;

-- When the next thing happens by time alone, and when the next schedule is to be looked at, past or not. Behind those
-- the first clock to come and how many entries were met on the way to it; with p_known, if that is to come, it is
-- taken as it is.
CREATE OR REPLACE FUNCTION @.next_due(p_now bigint, p_known bigint) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_before bigint := CASE WHEN p_known > p_now THEN 0
        ELSE pg_stat_get_xact_tuples_returned('@.job_clock'::regclass) END;
    v_next bigint[] := ARRAY[
        CASE WHEN p_known > p_now THEN p_known
             ELSE @.clock_next(p_now, NULL) END,
        (SELECT j.run_at FROM @.job AS j WHERE j.shelf = 3 AND j.run_at > p_now ORDER BY j.run_at LIMIT 1),
        (SELECT s.next_at FROM @.schedule AS s WHERE NOT s.paused ORDER BY s.next_at LIMIT 1)];
    v_tick bigint := coalesce(v_next[3], 9223372036854775807);
BEGIN
    IF v_tick <= p_now THEN -- somebody looks at it any moment; what is behind it?
        v_next[3] := (SELECT s.next_at FROM @.schedule AS s WHERE NOT s.paused AND s.next_at > p_now
                      ORDER BY s.next_at LIMIT 1);
    END IF;
    RETURN ARRAY[coalesce(least(v_next[1], v_next[2], v_next[3]), 9223372036854775807), v_tick, v_next[1],
        CASE WHEN p_known > p_now THEN 0
             ELSE coalesce(pg_stat_get_xact_tuples_returned('@.job_clock'::regclass), 0) - coalesce(v_before, 0) END];
END $$;

-- Somebody waits for news: then they are told. Nobody listens: nothing is sent, because a commit that sends waits for
-- every other commit that does. Returns whether they were told.
CREATE OR REPLACE FUNCTION @.wake() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_lock(@LOCK + 3) THEN
        RETURN NOT pg_advisory_unlock(@LOCK + 3);
    END IF;
    PERFORM pg_notify('@CHANNEL', '');
    RETURN true;
END $$;

-- The unit of an exchange: beats, changes, puts, trim, the worker's record. One call is one unit; the caller's
-- transaction makes it atomic. p_flags: 1 tell who waits, 4 fold the tally, 8 changes are plain, 16 puts are plain, 32
-- nobody asks when the next thing happens, 64 changes are alike, 128 the one that there is was claimed with many
-- others. p_drop: the client's receipt that may go. p_from, o_from: where the front was and is, see
-- functions/front.sql: {next clock, jump, then triples of trim}; o_from has how many entries were met on the way to the
-- next clock behind it.
CREATE OR REPLACE FUNCTION @.unit(p_flags integer, p_client uuid, p_number bigint, p_drop bigint, p_items integer[],
    p_beat_from uuid[], p_beat_to uuid[], p_beat_nums bigint[],
    p_change_ids uuid[], p_tokens uuid[], p_change_nums bigint[], p_change_digests bytea[], p_results bytea[],
    p_progress bytea[], p_data bytea[], p_new_payloads bytea[], p_errors bytea[],
    p_line_ends integer[], p_lines bytea[],
    p_keyed integer, p_queues bytea[], p_put_ids uuid[], p_put_nums bigint[], p_kinds bytea[], p_tenants bytea[],
    p_payloads bytea[], p_policies bytea[], p_keys bytea[], p_traces bytea[], p_scopes bytea[], p_digests bytea[],
    p_parents uuid[], p_rules integer[], p_ticks bytea[], p_tick_nums bigint[],
    p_trim bigint[], p_worker_nums bigint[], p_worker_bytes bytea[], p_from bigint[],
    OUT said @.unit_answer)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    v_woke boolean := false;
    v_beats record; v_changes record; v_puts record;
    v_ended integer[];
    v_next bigint[];
    v_kept bigint[];
    v_receipt @.receipt;
    v_opened bigint[];
BEGIN
    v_opened := @.opened(p_client, p_number, 0);
    said.o_now := v_opened[1];
    said.o_then := said.o_now;
    said.o_repeat := false;
    said.o_same := true;
    IF v_opened[2] IS NOT NULL THEN
        IF v_opened[2] > p_number THEN
            RAISE EXCEPTION 'this request was given up' USING ERRCODE = 'JQ002';
        ELSE
            SELECT * INTO v_receipt FROM @.receipt AS r WHERE r.client = p_client AND r.number = p_number
                AND r.part = 0;
            -- Nothing is done; what was answered is answered again, with the rows as they are now.
            said.o_repeat := true;
            said.o_same := v_receipt.items = p_items;
            said.o_beat_held := v_receipt.beat_held;
            said.o_marks := v_receipt.marks;
            said.o_mark_at := v_receipt.mark_at;
            said.o_verdicts := v_receipt.verdicts;
            said.o_stales := v_receipt.stales;
            said.o_holders := v_receipt.holders;
            said.o_leases := v_receipt.leases;
            said.o_puts := v_receipt.puts;
            said.o_put_holders := v_receipt.put_holders;
            said.o_stop_asked := v_receipt.stop_asked;
            said.o_then := v_receipt.answered;
            IF said.o_same THEN
                SELECT array_agg(@.show(x.j, 0, 0) ORDER BY u.i), array_agg(u.i ORDER BY u.i)
                INTO said.o_rows, said.o_row_at
                FROM unnest(p_change_ids) WITH ORDINALITY AS u(id, i) CROSS JOIN LATERAL (
                    SELECT j FROM @.job AS j WHERE j.id = u.id
                    UNION ALL SELECT m FROM @.members_of(ARRAY[u.id]) AS m) AS x
                WHERE coalesce(said.o_verdicts[u.i], 0) <> 0 OR p_change_nums[20 * u.i - 13] & 1024 <> 0;
            END IF;
            v_next := @.next_due(said.o_now, NULL);
            said.o_next_due := v_next[1];
            said.o_next_tick := v_next[2];
            RETURN;
        END IF;
    END IF;
    IF p_beat_from IS NOT NULL THEN
        v_beats := @.beats(said.o_now, p_beat_from, p_beat_to, p_beat_nums);
        said.o_beat_held := v_beats.o_held;
        said.o_marks := v_beats.o_marks;
        said.o_mark_at := v_beats.o_mark_at;
        v_woke := v_beats.o_woke;
    END IF;
    IF p_change_ids IS NOT NULL THEN
        v_changes := @.changes(said.o_now, p_flags & 8 <> 0, p_flags & 64 <> 0, p_flags & 128 <> 0, p_change_ids,
            p_tokens, p_change_nums, p_change_digests, p_results, p_progress, p_data, p_new_payloads, p_errors,
            p_line_ends, p_lines);
        said.o_verdicts := v_changes.o_verdicts;
        said.o_stales := v_changes.o_stales;
        said.o_holders := v_changes.o_holders;
        said.o_leases := v_changes.o_leases;
        said.o_rows := v_changes.o_rows;
        said.o_row_at := v_changes.o_row_at;
        v_woke := v_woke OR v_changes.o_woke;
        v_ended := v_changes.o_ended;
    END IF;
    IF p_put_ids IS NOT NULL THEN
        v_puts := @.puts(said.o_now, p_flags & 16 <> 0, p_keyed, p_queues, p_put_ids, p_put_nums, p_kinds,
            p_tenants, p_payloads, p_policies, p_keys, p_traces, p_scopes, p_digests, p_parents, p_rules, p_ticks,
            p_tick_nums, said.o_verdicts, said.o_verdicts IS NULL);
        said.o_puts := v_puts.o_nums;
        said.o_put_holders := v_puts.o_holders;
        v_woke := v_woke OR v_puts.o_woke;
    END IF;
    IF p_trim IS NOT NULL AND v_ended IS NOT NULL THEN
        v_kept := @.trim(said.o_now, v_ended, p_trim, p_from[2:], v_opened[3]);
    END IF;
    IF p_worker_nums IS NOT NULL THEN
        said.o_stop_asked := @.worker_note(said.o_now, p_worker_nums, p_worker_bytes);
    END IF;
    IF p_number > 0 THEN
        INSERT INTO @.receipt (client, number, part, items, answered, beat_held, marks, mark_at, verdicts, stales,
            holders, leases, puts, put_holders, stop_asked)
        VALUES (p_client, p_number, 0, p_items, said.o_now, said.o_beat_held, said.o_marks, said.o_mark_at,
            said.o_verdicts, said.o_stales, said.o_holders, said.o_leases, said.o_puts, said.o_put_holders,
            said.o_stop_asked);
        IF p_drop > 0 THEN
            DELETE FROM @.receipt AS r WHERE r.client = p_client AND r.number = p_drop;
        END IF;
    END IF;
    IF p_flags & 4 <> 0 THEN
        PERFORM @.fold();
        IF @.told() THEN
            PERFORM @.events_fold();
        END IF;
    END IF;
    IF v_woke AND p_flags & 1 <> 0 THEN
        v_woke := @.wake(); -- an expression is no statement to start
    END IF;
    IF p_flags & 32 = 0 THEN
        v_next := @.next_due(said.o_now, p_from[1]);
        said.o_next_due := v_next[1];
        said.o_next_tick := v_next[2];
    END IF;
    said.o_from := ARRAY[coalesce(v_next[3], 0), coalesce(v_next[4], 0)] || v_kept;
END $$;
