-- SPDX-License-Identifier: MIT
-- Changes: what happens to rows that are there. p_nums has 20 numbers for each: by, allowed, edits (-1: any), outcome,
-- state, reason, set, run_at base and offset, callback_until base and offset, lease_ms, failures, crashes, snoozes,
-- releases, redrives, alone, error_kind, plain. plain: a complete under its token that sets a result at most, in a unit
-- in which no change depends on another; those are made together, p_plain says that there are any. p_alike: all are,
-- under one token, with one reason, whatever the edits and without results; tokens and numbers are those of the first.
-- p_members: the one that there is may well be a member. p_lines: lines of log, those of all changes in a row;
-- p_line_ends: where those of each end (NULL: there are none). Verdicts: NULL when every one was made.
CREATE OR REPLACE FUNCTION @.changes(p_now bigint, p_plain boolean, p_alike boolean, p_members boolean,
    p_ids uuid[], p_tokens uuid[], p_nums bigint[], p_digests bytea[], p_results bytea[], p_progress bytea[],
    p_data bytea[], p_payloads bytea[], p_errors bytea[],
    p_line_ends integer[], p_lines bytea[],
    OUT o_verdicts integer[], OUT o_stales integer[], OUT o_holders uuid[], OUT o_leases bigint[],
    OUT o_rows @.view[], OUT o_row_at integer[], OUT o_woke boolean, OUT o_ended integer[]) LANGUAGE plpgsql AS $$
DECLARE
    v_items integer := cardinality(p_ids);
    v_done integer[]; v_queues integer[]; v_scopes bytea[]; v_jobs uuid[];
    v_events bigint[] := '{}'; v_ends bigint[];
    v_freed integer[]; v_tenants boolean := false; v_slots boolean;
    v_i integer; v_place integer; v_told integer := 0;
    v_woke boolean;
    v_queue integer; v_ran bigint;
    v_batch record;
    r record;
BEGIN
    o_woke := false;
    -- One by itself, which has no key, is what a worker that takes one at a time tells with each exchange.
    IF p_plain AND v_items = 1 AND NOT p_members THEN
        UPDATE @.job AS j SET state = 4, reason = p_nums[6], outcome = 1, lease_until = NULL, stop_at = NULL,
            clock = NULL, finished_at = p_now, pending = 0, result = CASE WHEN p_nums[7] & 4 <> 0 THEN p_results[1]
            ELSE j.result END
        WHERE j.id = p_ids[1] AND (j.state = 3) IS TRUE AND (j.token = p_tokens[1]) IS TRUE AND j.outcome = 0
            AND (p_nums[3] < 0 OR j.edits = p_nums[3]) AND j.children = 0 AND j.flags & 64 = 0 AND j.key_scope IS NULL
        RETURNING j.queue, j.tenant IS NOT NULL, greatest(p_now - j.started_at, 0) INTO v_queue, v_tenants, v_ran;
        IF FOUND THEN
            INSERT INTO @.tally VALUES (v_queue, 4, 5, 1, @.bucket(v_ran), v_ran, p_now);
            o_woke := @.frees_slots(ARRAY[v_queue], v_tenants);
            o_ended := ARRAY[v_queue, 4];
            IF @.told() THEN
                PERFORM @.tell(p_now, p_ids);
            END IF;
            RETURN;
        END IF;
    END IF;
    IF p_plain THEN
        -- Those of the others would be locked behind those of what completes.
        IF NOT p_alike AND EXISTS (SELECT 1 FROM generate_series(1, v_items) AS i WHERE p_nums[20 * i] <> 1) THEN
            PERFORM @.batches_lock(p_ids);
        END IF;
        v_batch := @.batch_complete(p_now, p_alike, p_ids, p_tokens, p_nums, p_results);
        v_done := v_batch.o_done;
        v_queues := v_batch.o_queues;
        IF v_queues IS NOT NULL THEN
            o_woke := @.frees_slots(v_queues, v_batch.o_tenants);
            o_ended := ARRAY(SELECT x FROM unnest(v_queues) AS q CROSS JOIN LATERAL unnest(ARRAY[q, 4]) AS x);
            IF cardinality(v_done) = v_items OR v_batch.o_whole THEN
                RETURN;
            END IF;
        END IF;
    END IF;
    IF p_alike AND v_items > 1 THEN
        p_tokens := array_fill(p_tokens[1], ARRAY[v_items]);
        p_nums := ARRAY(SELECT p_nums[1 + g % 20] FROM generate_series(0, 20 * v_items - 1) AS g);
    END IF;
    IF p_plain THEN
        WITH made AS (
            UPDATE @.job AS j SET state = 4, reason = u.reason, outcome = 1, lease_until = NULL, stop_at = NULL,
                clock = NULL, finished_at = p_now, pending = 0, result = CASE WHEN u.sets & 4 <> 0 THEN u.result
                ELSE j.result END
            FROM (SELECT x.i, x.id, x.token, x.result, p_nums[20 * x.i - 17] AS edits, p_nums[20 * x.i - 14] AS reason,
                         p_nums[20 * x.i - 13] AS sets
                  FROM unnest(p_ids, p_tokens, p_results) WITH ORDINALITY AS x(id, token, result, i)
                  WHERE p_nums[20 * x.i] = 1 AND x.i <> ALL (coalesce(v_done, '{}')) ORDER BY x.id) AS u
            -- By its id: IS TRUE keeps the token, which all of a batch share, and what runs from being looked up.
            WHERE j.id = u.id AND (j.state = 3) IS TRUE AND (j.token = u.token) IS TRUE AND j.outcome = 0
                AND (u.edits < 0 OR j.edits = u.edits)
                AND j.children = 0 AND j.flags & 64 = 0
                -- Who is put instead arrives in the order of the changes.
                AND (SELECT k.heir FROM @.key AS k WHERE k.scope = j.key_scope) IS NOT TRUE
            RETURNING u.i, j.queue, j.key_scope, j.id, j.tenant, greatest(p_now - j.started_at, 0) AS ran
        ), counted AS (
            INSERT INTO @.tally
            SELECT m.queue, 4, 5, count(*), @.bucket(m.ran), least(sum(m.ran), 9223372036854775807), p_now
            FROM made AS m GROUP BY m.queue, @.bucket(m.ran) RETURNING queue
        )
        SELECT v_done || array_agg(m.i::integer), array_agg(m.key_scope) FILTER (WHERE m.key_scope IS NOT NULL),
               array_agg(m.id) FILTER (WHERE m.key_scope IS NOT NULL), (SELECT array_agg(c.queue) FROM counted AS c),
               (SELECT bool_or(q.concurrency IS NOT NULL OR q.group_concurrency IS NOT NULL)
                FROM counted AS c JOIN @.queue AS q ON q.id = c.queue), bool_or(m.tenant IS NOT NULL)
        INTO v_done, v_scopes, v_jobs, v_queues, v_slots, v_tenants FROM made AS m;
        IF v_tenants AND NOT v_slots THEN
            v_slots := EXISTS (SELECT 1 FROM @.bound AS b WHERE b.concurrency >= 0);
        END IF;
        o_woke := o_woke OR coalesce(v_slots, false);
    END IF;
    IF v_scopes IS NOT NULL THEN
        v_woke := @.keys_settle(v_scopes, v_jobs, 4, p_now);
        o_woke := o_woke OR v_woke;
    END IF;
    IF v_queues IS NOT NULL THEN
        o_ended := o_ended
            || ARRAY(SELECT x FROM unnest(v_queues) AS q CROSS JOIN LATERAL unnest(ARRAY[q, 4]) AS x);
        IF cardinality(v_done) = v_items THEN
            IF @.told() THEN
                PERFORM @.tell(p_now, p_ids);
            END IF;
            RETURN;
        END IF;
    END IF;

    v_tenants := false;
    o_verdicts := array_fill(NULL::integer, ARRAY[v_items]);
    o_stales := array_fill(0, ARRAY[v_items]);
    o_holders := array_fill(NULL::uuid, ARRAY[v_items]);
    o_leases := array_fill(0::bigint, ARRAY[v_items]);
    FOREACH v_i IN ARRAY coalesce(v_done, '{}') LOOP
        o_verdicts[v_i] := 0;
    END LOOP;
    IF v_items > 1 THEN
        -- Members leave, but for those that were completed where they are.
        PERFORM @.rows_lock(CASE WHEN v_done IS NULL THEN p_ids ELSE ARRAY(
            SELECT p_ids[i] FROM generate_series(1, v_items) AS i WHERE i <> ALL (v_done)) END);
    END IF;
    FOR r IN
        SELECT x.i, x.id, x.token, x.digest, x.result, x.progress, x.data, x.payload, x.error,
            p_nums[b + 1]::integer AS proof, p_nums[b + 2]::integer AS allowed, p_nums[b + 3] AS edits,
            p_nums[b + 4]::integer AS outcome, p_nums[b + 5]::integer AS state, p_nums[b + 6]::integer AS reason,
            p_nums[b + 7]::integer AS sets, p_nums[b + 8] AS run_base, p_nums[b + 9] AS run_at,
            p_nums[b + 10] AS until_base, p_nums[b + 11] AS until_at, p_nums[b + 12] AS lease,
            p_nums[b + 13]::integer AS failures, p_nums[b + 14]::integer AS crashes, p_nums[b + 15]::integer AS snoozes,
            p_nums[b + 16]::integer AS releases, p_nums[b + 17]::integer AS redrives, p_nums[b + 18] AS alone,
            p_nums[b + 19]::integer AS error_kind
        FROM unnest(p_ids, p_tokens, p_digests, p_results, p_progress, p_data, p_payloads, p_errors)
            WITH ORDINALITY AS x(id, token, digest, result, progress, data, payload, error, i)
        CROSS JOIN LATERAL (SELECT 20 * (x.i::integer - 1) AS b) AS y
        WHERE o_verdicts[x.i] IS NULL ORDER BY x.i
    LOOP
        DECLARE
            j @.job;
            v_before integer; v_was integer; v_state integer; v_reason integer; v_now_due boolean; v_shelf integer;
            v_verdict integer := 0; v_stale integer := 0;
            v_key @.key;
        BEGIN
            -- Those made together are told in their places among these.
            IF v_done IS NOT NULL AND @.told() THEN
                PERFORM @.tell(p_now, ARRAY(SELECT p_ids[i] FROM unnest(v_done) AS i WHERE i > v_told AND i < r.i
                    ORDER BY i));
                v_told := r.i;
            END IF;
            SELECT * INTO j FROM @.job AS k WHERE k.id = r.id FOR UPDATE;
            IF NOT FOUND AND v_items = 1 THEN -- is it a member?
                PERFORM @.rows_lock(p_ids);
                SELECT * INTO j FROM @.job AS k WHERE k.id = r.id;
            END IF;
            -- the guards, in their order
            IF NOT FOUND THEN
                v_verdict := -4; v_stale := 1;
            ELSIF r.proof = 1 THEN
                IF coalesce(j.token, '00000000-0000-0000-0000-000000000000') <> r.token THEN
                    v_verdict := -4; v_stale := 2;
                ELSIF j.outcome <> 0 AND j.outcome = r.outcome THEN
                    v_verdict := 1;
                ELSIF j.outcome = 6 THEN
                    v_verdict := -4; v_stale := 3;
                ELSIF j.outcome <> 0 OR j.state <> 3 THEN
                    v_verdict := -4; v_stale := 4;
                ELSIF r.edits >= 0 AND r.edits <> j.edits THEN
                    v_verdict := -20;
                END IF;
            ELSIF r.proof = 2 AND (j.callback IS NULL OR j.callback IS DISTINCT FROM r.digest) THEN
                v_verdict := -4; v_stale := 6;
            ELSIF r.proof = 2 AND j.flags & 32 <> 0 THEN
                v_verdict := 1;
            ELSIF r.proof NOT IN (2, 3) OR r.allowed & (1 << j.state) = 0 THEN
                v_verdict := -4; v_stale := 5;
            ELSIF r.edits >= 0 AND r.edits <> j.edits THEN
                v_verdict := -20;
            END IF;
            IF v_verdict = 0 AND r.state = 7 AND j.children > 0 THEN
                v_verdict := -4; v_stale := 5;
            ELSIF v_verdict = 0 AND r.sets & 8192 <> 0 AND j.key_scope IS NOT NULL THEN
                v_key := @.key_held(j.key_scope, p_now);
                IF v_key.job <> j.id THEN
                    v_verdict := 2;
                    o_holders[r.i] := v_key.job;
                END IF;
            END IF;
            o_verdicts[r.i] := v_verdict;
            o_stales[r.i] := v_stale;
            IF v_verdict <> 0 THEN
                IF j.id IS NOT NULL THEN
                    o_rows := o_rows || @.show(j, 0, 0);
                    o_row_at := o_row_at || r.i::integer;
                END IF;
                CONTINUE;
            END IF;

            v_before := j.state;
            v_was := @.place_of(j.state, j.shelf);
            v_now_due := coalesce(j.shelf <> 3, false);
            IF r.state = 7 THEN
                IF @.told() THEN
                    INSERT INTO @.happened (at, id, queue, kind, state, reason, attempt, run_at)
                    VALUES (p_now, j.id, j.queue, j.kind, 7, j.reason, j.attempt, j.run_at);
                END IF;
                IF j.key_scope IS NOT NULL THEN
                    v_woke := @.key_settle(j.key_scope, j.id, CASE WHEN j.state >= 4 THEN j.state ELSE 7 END, p_now);
                    o_woke := o_woke OR v_woke;
                END IF;
                IF j.flags & 64 <> 0 THEN
                    PERFORM @.edges_close(j.id, false);
                END IF;
                IF j.state = 3 THEN
                    v_freed := v_freed || j.queue;
                    v_tenants := v_tenants OR j.tenant IS NOT NULL;
                END IF;
                DELETE FROM @.error AS e WHERE e.job = j.id;
                IF j.flags & 512 <> 0 THEN
                    DELETE FROM @.log AS l WHERE l.job = j.id;
                END IF;
                DELETE FROM @.job AS k WHERE k.id = j.id;
                v_events := v_events || ARRAY[j.queue::bigint, v_was, 0, 1];
                CONTINUE;
            END IF;

            IF r.sets & 65536 <> 0 THEN
                j.pending := @.edges_reopen(j.id);
            END IF;
            -- A key whose window ran out while its job had ended must not come back to life with the job.
            IF j.key_scope IS NOT NULL AND v_before >= 4 THEN
                PERFORM @.key_settle(j.key_scope, j.id, v_before, p_now);
            END IF;
            IF r.proof <> 1 AND j.edits < 4294967295 THEN
                j.edits := j.edits + 1;
            END IF;
            IF r.outcome <> 0 THEN
                j.outcome := r.outcome;
            END IF;
            IF r.sets & 4096 <> 0 AND j.errors < 2147483647 THEN
                j.errors := j.errors + 1;
                IF j.errors > 10 THEN
                    DELETE FROM @.error AS e WHERE e.job = j.id AND e.seq <= j.errors - 10;
                END IF;
                INSERT INTO @.error VALUES (j.id, j.errors, least(j.attempt, 2147483647), r.error_kind, p_now, j.worker,
                    r.error);
            END IF;
            IF p_line_ends[r.i] > coalesce(p_line_ends[r.i - 1], 0) THEN
                PERFORM @.log_add(j, p_now, p_lines, coalesce(p_line_ends[r.i - 1], 0) + 1, p_line_ends[r.i]);
                j.flags := j.flags | 512;
            END IF;

            -- what is asked for, seen with the row's hold and parents
            v_state := CASE WHEN r.state = 0 THEN j.state ELSE r.state END;
            v_reason := CASE WHEN r.state = 0 THEN j.reason ELSE r.reason END;
            IF r.sets & 16384 <> 0 THEN
                j.flags := j.flags & ~1;
                IF j.state = 1 AND j.pending = 0 THEN
                    v_state := 2;
                ELSIF v_state = 1 THEN
                    v_reason := 1;
                END IF;
            END IF;
            IF r.sets & 65536 <> 0 AND j.pending > 0 THEN
                v_state := 1;
                v_reason := 1;
            END IF;
            j.reason := CASE WHEN v_state = 2 THEN 0 ELSE v_reason END;
            IF v_state <> v_before THEN
                IF v_before = 3 THEN
                    j.lease_until := NULL;
                    j.stop_at := NULL;
                    v_freed := v_freed || j.queue;
                    v_tenants := v_tenants OR j.tenant IS NOT NULL;
                ELSIF v_before >= 4 THEN
                    j.finished_at := NULL;
                    j.expires_at := NULL;
                    j.result := NULL;
                END IF;
                j.state := v_state;
                v_now_due := v_state = 2 AND j.run_at <= p_now;
                IF v_state >= 4 THEN
                    j.finished_at := p_now;
                    j.pending := 0;
                ELSIF v_state = 2 THEN
                    o_woke := true;
                END IF;
            END IF;

            -- values
            IF r.sets & 4 <> 0 THEN j.result := r.result; END IF;
            IF r.sets & 8 <> 0 THEN j.progress := r.progress; END IF;
            IF r.sets & 64 <> 0 THEN j.data := NULL; END IF;
            IF r.sets & 16 <> 0 THEN j.data := r.data; END IF;
            IF r.sets & 32 <> 0 THEN
                j.payload := r.payload;
                j.payload_bytes := coalesce(octet_length(r.payload), 0);
            END IF;
            IF r.sets & 2 <> 0 THEN
                j.failures := r.failures; j.crashes := r.crashes; j.snoozes := r.snoozes;
                j.releases := r.releases; j.redrives := r.redrives;
            END IF;
            IF r.sets & 1 <> 0 THEN
                j.run_at := @.instant(r.run_base, r.run_at, j.run_at, p_now);
                v_now_due := j.state = 2 AND j.run_at <= p_now;
                o_woke := o_woke OR j.state = 2;
            END IF;
            IF r.sets & 64 <> 0 THEN
                j.callback := r.digest;
                j.flags := j.flags & ~40;
            END IF;
            IF r.sets & 16 <> 0 THEN j.flags := j.flags | 32; END IF;
            IF r.sets & 128 <> 0 THEN
                j.callback_until :=
                    nullif(@.instant(r.until_base, r.until_at, coalesce(j.callback_until, 0), p_now), 0);
            END IF;
            IF r.sets & 256 <> 0 THEN j.flags := j.flags | 16; END IF;
            IF r.sets & 32768 <> 0 THEN j.flags := j.flags & ~16; END IF;
            IF r.sets & 512 <> 0 THEN
                j.flags := CASE WHEN r.alone <> 0 THEN j.flags | 2 ELSE j.flags & ~2 END;
            END IF;
            IF r.sets & 2048 <> 0 THEN j.flags := j.flags | 8; END IF;
            IF r.sets & 1024 <> 0 THEN
                j.lease_until := greatest(j.lease_until, least(@.add(p_now, r.lease), j.stop_at));
                o_leases[r.i] := j.lease_until;
            END IF;
            v_shelf := CASE WHEN j.state <> 2 THEN NULL WHEN NOT v_now_due THEN 3
                            ELSE @.shelf_due(j.flags, j.tenant) END;
            j.shelf := v_shelf;
            j.place := CASE WHEN v_shelf = 3 THEN j.run_at WHEN v_shelf IS NOT NULL
                THEN @.add(j.run_at, j.rank_add) END;
            IF v_shelf <> 3 THEN
                PERFORM @.jump_before(j.place, p_now);
            END IF;
            j.clock := @.alarm(j);
            UPDATE @.job AS k SET place = j.place, clock = j.clock, edits = j.edits, payload_bytes = j.payload_bytes,
                run_at = j.run_at, finished_at = j.finished_at, lease_until = j.lease_until, stop_at = j.stop_at,
                expires_at = j.expires_at, callback_until = j.callback_until, flags = j.flags, pending = j.pending,
                errors = j.errors, failures = j.failures, crashes = j.crashes, snoozes = j.snoozes,
                releases = j.releases, redrives = j.redrives, state = j.state, shelf = j.shelf, outcome = j.outcome,
                reason = j.reason, callback = j.callback, progress = j.progress, payload = j.payload,
                result = j.result, data = j.data
            WHERE k.id = j.id;

            -- the key, the counts, and those who hang on it
            IF r.sets & 8192 <> 0 AND j.key_scope IS NOT NULL THEN
                INSERT INTO @.key AS k (scope, job, hold, until, digest)
                VALUES (j.key_scope, j.id, j.key_hold, j.key_until, j.key_digest)
                ON CONFLICT (scope) DO UPDATE SET hold = excluded.hold, until = excluded.until,
                    digest = excluded.digest, ended = 0, fades = NULL WHERE k.job = excluded.job;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'the key was taken meanwhile' USING ERRCODE = 'serialization_failure';
                END IF;
            END IF;
            IF j.state <> v_before AND @.told() THEN
                PERFORM @.tell(p_now, ARRAY[j.id]);
            END IF;
            v_place := @.place_of(j.state, j.shelf);
            IF v_place <> v_was THEN
                v_events := v_events || ARRAY[j.queue::bigint, v_was, v_place, 1];
            END IF;
            IF r.outcome IN (1, 2) THEN
                v_ends := v_ends
                    || ARRAY[j.queue::bigint, 7 + r.outcome, greatest(p_now - coalesce(j.started_at, 0), 0)];
            END IF;
            IF j.state >= 4 AND j.state <> v_before THEN
                o_ended := o_ended || ARRAY[j.queue, j.state::integer];
                IF j.key_scope IS NOT NULL THEN
                    v_woke := @.key_settle(j.key_scope, j.id, j.state, p_now);
                    o_woke := o_woke OR v_woke;
                END IF;
                IF j.flags & 64 <> 0 THEN
                    PERFORM @.edges_close(j.id, j.reason = 15);
                END IF;
                IF j.children > 0 THEN
                    SELECT x.o_woke INTO v_woke FROM @.edges_resolve(j.id, j.state, p_now) AS x;
                    o_woke := o_woke OR v_woke;
                END IF;
            ELSIF v_before >= 4 AND j.state < 4 AND j.key_scope IS NOT NULL THEN
                PERFORM @.key_settle(j.key_scope, j.id, j.state, p_now);
            END IF;
            IF r.sets & 1024 <> 0 THEN
                SELECT * INTO j FROM @.job AS k WHERE k.id = j.id;
                o_rows := o_rows || @.show(j, 0, 0);
                o_row_at := o_row_at || r.i::integer;
            END IF;
        END;
    END LOOP;
    IF v_done IS NOT NULL AND @.told() THEN
        PERFORM @.tell(p_now, ARRAY(SELECT p_ids[i] FROM unnest(v_done) AS i WHERE i > v_told ORDER BY i));
    END IF;
    IF v_freed IS NOT NULL AND NOT o_woke THEN
        o_woke := @.frees_slots(v_freed, v_tenants);
    END IF;
    PERFORM @.count(v_events);
    IF v_ends IS NOT NULL THEN
        PERFORM @.count_ends(p_now, v_ends);
    END IF;
END $$;
