-- SPDX-License-Identifier: MIT
-- The scope of a key from its bytes and the digest: as lib/key.c makes it.
CREATE OR REPLACE FUNCTION @.key_mark(p_bytes bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE v_hash bigint := 2166136261;
BEGIN
    FOR i IN 0 .. octet_length(p_bytes) - 1 LOOP
        v_hash := ((v_hash # get_byte(p_bytes, i)) * 16777619) & 4294967295;
    END LOOP;
    RETURN substring(int8send(v_hash) FROM 5);
END $$;
CREATE OR REPLACE FUNCTION @.key_scope(p_key bytea, p_digest bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT @.key_mark(substring(p_key FROM 1 FOR least(k.before, 8))) || @.key_mark(substring(p_key FROM 1 FOR k.before))
        || substring(substring(p_key FROM k.before + 1) || decode('000000', 'hex') FROM 1 FOR 3)
        || substring(p_digest FROM 1 FOR 21)
    FROM (SELECT greatest(octet_length(p_key) - 3, 0) AS before) AS k
$$;

-- For triggers and for other languages: put one job, in the transaction that calls it. The same rules as jobq_enqueue:
-- a key holds while its job has not ended, within the queue; whoever holds it is returned, and fresh is false. Names
-- and limits are checked as there. Workers are told when the transaction commits.
CREATE OR REPLACE FUNCTION @.enqueue(queue text, payload bytea, kind text DEFAULT NULL, key bytea DEFAULT NULL,
    tenant text DEFAULT NULL, delay_ms bigint DEFAULT 0, priority integer DEFAULT 0, id uuid DEFAULT NULL,
    OUT job uuid, OUT fresh boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_queue bytea := convert_to(queue, 'UTF8');
    v_kind bytea := convert_to(coalesce(kind, queue), 'UTF8');
    v_tenant bytea := convert_to(tenant, 'UTF8');
    v_id uuid :=
        coalesce(id, encode(substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                                     || substring(uuid_send(gen_random_uuid()) FROM 7), 'hex')::uuid);
    v_scope bytea; v_digest bytea;
    r record;
BEGIN
    IF queue IS NULL OR octet_length(v_queue) NOT BETWEEN 1 AND 255 OR queue ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'queue: 1 to 255 bytes without control characters' USING ERRCODE = 'invalid_parameter_value';
    ELSIF octet_length(v_kind) NOT BETWEEN 1 AND 255 OR kind ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'kind: 1 to 255 bytes without control characters' USING ERRCODE = 'invalid_parameter_value';
    ELSIF octet_length(v_tenant) NOT BETWEEN 1 AND 255 OR tenant ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'tenant: 1 to 255 bytes without control characters' USING ERRCODE = 'invalid_parameter_value';
    ELSIF octet_length(payload) > 1048576 THEN
        RAISE EXCEPTION 'payload: at most 1048576 bytes' USING ERRCODE = 'invalid_parameter_value';
    ELSIF octet_length(key) NOT BETWEEN 1 AND 1024 THEN
        RAISE EXCEPTION 'key: 1 to 1024 bytes' USING ERRCODE = 'invalid_parameter_value';
    ELSIF coalesce(delay_ms, 0) NOT BETWEEN 0 AND 9007199254740992 THEN
        RAISE EXCEPTION 'delay_ms: 0 to 9007199254740992' USING ERRCODE = 'invalid_parameter_value';
    ELSIF coalesce(priority, 0) NOT BETWEEN -32768 AND 32767 THEN
        RAISE EXCEPTION 'priority: -32768 to 32767' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF key IS NOT NULL THEN
        v_scope := @.key_scope(key, sha256(int8send(1) || decode('00', 'hex') || int8send(octet_length(v_queue))
            || v_queue || int8send(0) || int8send(0) || int8send(octet_length(key)) || key));
        v_digest := sha256(coalesce(payload, ''));
    END IF;
    SELECT * INTO r FROM @.unit(1 | 16 | 32, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        CASE WHEN key IS NULL THEN 0 ELSE 1 END, ARRAY[v_queue], ARRAY[v_id],
        ARRAY[1, coalesce(priority, 0), coalesce(priority, 0) * 600000::bigint, 1, coalesce(delay_ms, 0), 0, 0,
        0, 0, 0, 0, 0,
              0, 0, 0],
        ARRAY[v_kind], CASE WHEN tenant IS NOT NULL THEN ARRAY[v_tenant] END, ARRAY[coalesce(payload, '')], NULL,
            ARRAY[key], NULL,
        CASE WHEN key IS NOT NULL THEN ARRAY[v_scope] END, CASE WHEN key IS NOT NULL THEN ARRAY[v_digest] END,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    job := coalesce(r.o_put_holders[1], v_id);
    fresh := r.o_puts IS NULL OR r.o_puts[1] = 0;
    IF r.o_puts[1] = -7 THEN
        RAISE EXCEPTION 'queue "%" is full', queue USING ERRCODE = 'program_limit_exceeded';
    ELSIF r.o_puts[1] = -8 THEN
        RAISE EXCEPTION 'the quota of tenant "%" is used up for % ms', tenant, r.o_puts[3]
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
END $$;
