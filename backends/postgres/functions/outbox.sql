-- SPDX-License-Identifier: MIT
-- An outbox: each change of a row puts a job, in the transaction that changes the row. All of it runs with the rights
-- of whoever writes, who needs what an enqueue needs; nothing here lends anybody rights.
--
-- The payload is {"table_name", "operation", "record_id", "version", "change_data"}: change_data is the new row of an
-- INSERT, the old one of a DELETE, {"old", "new"} of an UPDATE. Versions come from the sequence of the fences: for one
-- record they rise in the order of the commits, because whoever writes a row has it locked until its commit; and they
-- go on rising when the store is wiped.

-- One change. An UPDATE that does not fit with both rows keeps the new one; one that does not fit at all is refused,
-- and with it the write.
CREATE OR REPLACE FUNCTION @.outbox_put(queue text, table_name text, operation text, record_id text, data jsonb)
    RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_text text;
BEGIN
    IF record_id IS NULL THEN
        RAISE EXCEPTION 'a row of % without an identity cannot be followed', table_name
            USING ERRCODE = 'not_null_violation';
    END IF;
    v_text := jsonb_build_object('table_name', table_name, 'operation', operation, 'record_id', record_id,
                                 'version', nextval('@.fence'), 'change_data', data)::text;
    IF octet_length(convert_to(v_text, 'UTF8')) > 1048576 AND operation = 'UPDATE' AND data ? 'old' THEN
        PERFORM @.outbox_put(queue, table_name, operation, record_id, data - 'old');
        RETURN;
    END IF;
    PERFORM @.enqueue(queue, convert_to(v_text, 'UTF8'), 'change');
END $$;

-- What the trigger of a row calls. A row whose identity changes is two records: the old one goes.
CREATE OR REPLACE FUNCTION @.outbox_row(queue text, table_name text, operation text, id_column text,
    old jsonb, new jsonb)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF operation = 'DELETE' THEN
        PERFORM @.outbox_put(queue, table_name, operation, old ->> id_column, old);
        RETURN;
    ELSIF operation = 'INSERT' THEN
        PERFORM @.outbox_put(queue, table_name, operation, new ->> id_column, new);
        RETURN;
    END IF;
    IF old ->> id_column IS DISTINCT FROM new ->> id_column THEN
        PERFORM @.outbox_put(queue, table_name, 'DELETE', old ->> id_column, old);
    END IF;
    PERFORM @.outbox_put(queue, table_name, operation, new ->> id_column, jsonb_build_object('old', old, 'new', new));
END $$;

-- A payload as JSON, and NULL where it is something else: anybody may put anything into a queue.
CREATE OR REPLACE FUNCTION @.outbox_json(payload bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN convert_from(payload, 'UTF8')::jsonb;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION @.outbox_time(ms bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN ms BETWEEN 1 AND 253402300799999
                THEN timestamptz '1970-01-01 00:00:00+00' + interval '1 second' * (ms / 1000.0) END
$$;

-- The jobs of a queue, as tables of this kind are usually laid out. started_at is for those who want the time of the
-- work without that of the waiting.
CREATE OR REPLACE FUNCTION @.outbox_jobs(p_queue text) RETURNS TABLE (id uuid, table_name text, operation text,
    record_id text, change_data jsonb, status text, retry_count integer, error_message text, created_at timestamptz,
    processed_at timestamptz, started_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT j.id, p.v ->> 'table_name', p.v ->> 'operation', p.v ->> 'record_id', p.v -> 'change_data',
        CASE WHEN j.state <= 2 THEN 'pending' WHEN j.state = 3 THEN 'processing' WHEN j.state = 4 THEN 'completed'
             ELSE 'failed' END,
        j.failures,
        (SELECT convert_from(e.text, 'UTF8') FROM @.error AS e WHERE e.job = j.id ORDER BY e.seq DESC LIMIT 1),
        @.outbox_time(j.created_at), @.outbox_time(j.finished_at), @.outbox_time(j.started_at)
    FROM (
        SELECT k.* FROM @.job AS k WHERE k.queue = (SELECT q.id FROM @.queue AS q
                                                    WHERE q.name = convert_to(p_queue, 'UTF8'))
        UNION ALL
        SELECT m.* FROM @.queue AS q
        CROSS JOIN LATERAL @.members(q.id, 24, '00000000-0000-0000-0000-000000000000') AS m
        WHERE q.name = convert_to(p_queue, 'UTF8')) AS j
    CROSS JOIN LATERAL (SELECT @.outbox_json(j.payload) AS v) AS p
$$;

-- The same in seven figures. The average is of the work: from the last start to the end.
CREATE OR REPLACE FUNCTION @.outbox_stats(p_queue text) RETURNS TABLE (total_jobs bigint, pending_jobs bigint,
    processing_jobs bigint, completed_jobs bigint, failed_jobs bigint, avg_processing_time numeric,
    last_processed_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*), count(*) FILTER (WHERE j.state <= 2), count(*) FILTER (WHERE j.state = 3),
        count(*) FILTER (WHERE j.state = 4), count(*) FILTER (WHERE j.state > 4),
        coalesce(round(avg(j.finished_at - j.started_at)
                       FILTER (WHERE j.state IN (4, 5) AND j.started_at IS NOT NULL AND j.finished_at IS NOT NULL),
                       3), 0),
        @.outbox_time(max(j.finished_at) FILTER (WHERE j.state IN (4, 5)))
    FROM (
        SELECT k.state, k.started_at, k.finished_at FROM @.job AS k
        WHERE k.queue = (SELECT q.id FROM @.queue AS q WHERE q.name = convert_to(p_queue, 'UTF8'))
        UNION ALL
        SELECT m.state, m.started_at, m.finished_at FROM @.queue AS q
        CROSS JOIN LATERAL @.members(q.id, 24, '00000000-0000-0000-0000-000000000000') AS m
        WHERE q.name = convert_to(p_queue, 'UTF8')) AS j
$$;

-- The only column of the primary key.
CREATE OR REPLACE FUNCTION @.outbox_key(target regclass) RETURNS name LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_names name[] := (SELECT array_agg(a.attname) FROM pg_index AS i
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = target AND i.indisprimary);
BEGIN
    IF cardinality(v_names) = 1 THEN
        RETURN v_names[1];
    END IF;
    RAISE EXCEPTION '% has no primary key of one column: name the column that tells its rows apart', target
        USING ERRCODE = 'invalid_parameter_value';
END $$;

-- Follow a table from now on: the trigger <table>_queue_sync and what goes with the queue, all in the schema of the
-- table: the function add_to_<queue>_queue of the trigger, the view <queue>_sync_queue, the function
-- get_<queue>_queue_stats. May be repeated. It ends with DROP TRIGGER. TRUNCATE changes no row by itself and is not
-- followed.
CREATE OR REPLACE FUNCTION @.outbox(target regclass, queue text DEFAULT 'outbox', id_column name DEFAULT NULL)
    RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $body$
DECLARE
    v_table name; v_schema name;
    v_column name := coalesce(id_column, @.outbox_key(target));
    v_rights text := '';
BEGIN
    SELECT c.relname, n.nspname INTO v_table, v_schema
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = target;
    IF NOT EXISTS (SELECT 1 FROM pg_attribute AS a WHERE a.attrelid = target AND a.attname = v_column AND a.attnum > 0
                   AND NOT a.attisdropped) THEN
        RAISE EXCEPTION '% has no column %', target, v_column USING ERRCODE = 'undefined_column';
    ELSIF queue IS NULL OR queue !~ '^[[:alnum:]_]{1,40}$' THEN
        RAISE EXCEPTION 'queue: 1 to 40 letters, digits and _, for the names that are made of it'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF current_setting('server_version_num')::integer >= 150000 THEN
        v_rights := 'WITH (security_invoker = true)';
    END IF;
    EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I() RETURNS trigger LANGUAGE plpgsql'
        ' SET search_path = pg_catalog, pg_temp AS %L', v_schema, 'add_to_' || queue || '_queue',
        'BEGIN PERFORM @.outbox_row(TG_ARGV[0], TG_TABLE_NAME, TG_OP, TG_ARGV[1], to_jsonb(OLD), to_jsonb(NEW));'
        ' RETURN NULL; END');
    EXECUTE format('CREATE OR REPLACE VIEW %I.%I %s AS SELECT id, table_name, operation, record_id, change_data,'
        ' status, retry_count, error_message, created_at, processed_at FROM @.outbox_jobs(%L)',
        v_schema, queue || '_sync_queue', v_rights, queue);
    EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I() RETURNS TABLE (total_jobs bigint, pending_jobs bigint,'
        ' processing_jobs bigint, completed_jobs bigint, failed_jobs bigint, avg_processing_time numeric,'
        ' last_processed_at timestamptz) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp'
        ' AS %L', v_schema, 'get_' || queue || '_queue_stats', format('SELECT * FROM @.outbox_stats(%L)', queue));
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', v_table || '_queue_sync', target);
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW'
        ' EXECUTE FUNCTION %I.%I(%L, %L)',
        v_table || '_queue_sync', target, v_schema, 'add_to_' || queue || '_queue', queue, v_column);
END $body$;
