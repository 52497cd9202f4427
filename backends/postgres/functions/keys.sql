-- SPDX-License-Identifier: MIT
-- Keys: a row per key that is held. It goes when its rule lets it go.

-- Who holds the key, NULL for nobody. The row stays locked, so that it does not change hands meanwhile; one that holds
-- no more goes. A key may outlive its job, and then another job of that id may be there, which its scope tells apart.
CREATE OR REPLACE FUNCTION @.key_held(p_scope bytea, p_now bigint, OUT held @.key) LANGUAGE plpgsql AS $$
BEGIN
    SELECT * INTO held FROM @.key AS k WHERE k.scope = p_scope FOR UPDATE;
    IF held.scope IS NOT NULL AND NOT @.holds(held.hold,
        coalesce((SELECT j.state FROM @.job AS j WHERE j.id = held.job AND j.key_scope = p_scope), held.ended),
        held.until, p_now) THEN
        DELETE FROM @.key AS k WHERE k.scope = p_scope;
        held := NULL;
    END IF;
END $$;

-- The job comes to this state (GONE: 7, for what had not ended): what becomes of its key? Whoever waited for it to be
-- let go is put in this step. Returns whether somebody is to be told of that.
CREATE OR REPLACE FUNCTION @.key_settle(p_scope bytea, p_job uuid, p_state integer, p_now bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE v_heir boolean;
BEGIN
    DELETE FROM @.key AS k WHERE k.scope = p_scope AND k.job = p_job AND NOT @.holds(k.hold, p_state, k.until, p_now)
    RETURNING k.heir INTO v_heir;
    IF FOUND THEN
        RETURN v_heir AND @.succeed(p_scope, p_now);
    END IF;
    UPDATE @.key AS k SET ended = CASE WHEN p_state IN (1, 2, 3) THEN 0 ELSE p_state END,
        fades = CASE WHEN p_state NOT IN (1, 2, 3) AND k.hold = 3 THEN k.until END
    WHERE k.scope = p_scope AND k.job = p_job AND k.ended <> CASE WHEN p_state IN (1, 2, 3) THEN 0 ELSE p_state END;
    RETURN false;
END $$;

-- The same for many at once, all to one state.
CREATE OR REPLACE FUNCTION @.keys_settle(p_scopes bytea[], p_jobs uuid[], p_state integer, p_now bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RETURN bool_or(@.key_settle(u.scope, u.job, p_state, p_now))
    FROM (SELECT * FROM unnest(p_scopes, p_jobs) AS x(scope, job) ORDER BY x.scope) AS u;
END $$;

-- Windows that ran out hold nothing; some go with each unit that has keys, so that they do not pile up.
CREATE OR REPLACE FUNCTION @.keys_fade(p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM @.key AS k USING (
        SELECT f.ctid AS at FROM @.key AS f WHERE f.fades <= p_now ORDER BY f.fades LIMIT 16 FOR UPDATE SKIP LOCKED
    ) AS old WHERE k.ctid = old.at;
END $$;

-- ---- successors -----------------------------------------------------------------------------------------------------

-- This put waits for the end of who holds the key; the newest wins. The key's row is written too, though it says the
-- same as before: so whoever lets it go from an older snapshot fails, and does not overlook what was kept meanwhile.
CREATE OR REPLACE FUNCTION @.key_succeed(p_scope bytea, p_id uuid, p_queue integer, p_nums bigint[], p_kind bytea,
    p_tenant bytea, p_payload bytea, p_policy bytea, p_key bytea, p_trace bytea, p_digest bytea) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE @.key AS k SET heir = true WHERE k.scope = p_scope;
    DELETE FROM @.heir AS h WHERE h.scope = p_scope;
    INSERT INTO @.heir (scope, id, queue, nums, kind, tenant, payload, policy, key, trace, digest)
    VALUES (p_scope, p_id, p_queue, p_nums, p_kind, p_tenant, p_payload, p_policy, p_key, p_trace, p_digest);
END $$;

-- The key was let go: whoever waited for that is put as if it had arrived now, whatever depth and quota say, and takes
-- the key by its own rule. Returns whether it waits for a worker.
CREATE OR REPLACE FUNCTION @.succeed(p_scope bytea, p_now bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE h @.heir; v_place integer;
BEGIN
    DELETE FROM @.heir AS x WHERE x.scope = p_scope RETURNING * INTO h;
    v_place := @.job_put(p_now, h.id, h.queue, h.nums, h.kind, h.tenant, h.payload, h.policy, h.key, h.trace, p_scope,
                         h.digest, 0, 0);
    IF v_place = 0 THEN
        RETURN false; -- its id has come to exist meanwhile
    END IF;
    INSERT INTO @.key (scope, job, hold, until, digest)
        VALUES (p_scope, h.id, h.nums[10], @.add(p_now, h.nums[12]), h.digest);
    INSERT INTO @.tally VALUES (h.queue, 0, v_place, 1);
    IF @.told() THEN
        PERFORM @.tell(p_now, ARRAY[h.id]);
    END IF;
    RETURN v_place <> 1;
END $$;
