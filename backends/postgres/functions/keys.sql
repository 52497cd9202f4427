-- SPDX-License-Identifier: MIT
-- Keys: a row per key that is held. It goes when its rule lets it go.

-- Who holds the key, NULL for nobody. The row stays locked, so that it does not change hands meanwhile; one that holds no
-- more goes.
CREATE OR REPLACE FUNCTION @.key_held(p_scope bytea, p_now bigint, OUT held @.key) LANGUAGE plpgsql AS $$
BEGIN
    SELECT * INTO held FROM @.key AS k WHERE k.scope = p_scope FOR UPDATE;
    IF held.scope IS NOT NULL AND NOT @.holds(held.hold,
        coalesce((SELECT j.state FROM @.job AS j WHERE j.id = held.job), held.ended), held.until, p_now) THEN
        DELETE FROM @.key AS k WHERE k.scope = p_scope;
        held := NULL;
    END IF;
END $$;

-- The job comes to this state (GONE: 7, for what had not ended): what becomes of its key?
CREATE OR REPLACE FUNCTION @.key_settle(p_scope bytea, p_job uuid, p_state integer, p_now bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM @.key AS k WHERE k.scope = p_scope AND k.job = p_job AND NOT @.holds(k.hold, p_state, k.until, p_now);
    UPDATE @.key AS k SET ended = CASE WHEN p_state IN (1, 2, 3) THEN 0 ELSE p_state END,
        fades = CASE WHEN p_state NOT IN (1, 2, 3) AND k.hold = 3 THEN k.until END
    WHERE k.scope = p_scope AND k.job = p_job AND k.ended <> CASE WHEN p_state IN (1, 2, 3) THEN 0 ELSE p_state END;
END $$;

-- The same for many at once, all to one state.
CREATE OR REPLACE FUNCTION @.keys_settle(p_scopes bytea[], p_jobs uuid[], p_state integer, p_now bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM @.key_settle(u.scope, u.job, p_state, p_now)
    FROM (SELECT * FROM unnest(p_scopes, p_jobs) AS x(scope, job) ORDER BY x.scope) AS u;
END $$;

-- Windows that ran out hold nothing; some go with each unit that has keys, so that they do not pile up.
CREATE OR REPLACE FUNCTION @.keys_fade(p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM @.key AS k USING (
        SELECT f.ctid AS at FROM @.key AS f WHERE f.fades <= p_now ORDER BY f.fades LIMIT 16 FOR UPDATE SKIP LOCKED
    ) AS old WHERE k.ctid = old.at;
END $$;
