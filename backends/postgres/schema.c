/* SPDX-License-Identifier: MIT */
/* The schema: made and brought up under a lock of the transaction that does it, so that of many openers one works and the
 * others find it done. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_TEXTS
#include "steps.h"
#define FUNCTION_TEXTS
#include "functions.h"

_Static_assert(STEP_COUNT == SCHEMA_VERSION, "one step for each version");

#define TABLES                                                                                                    \
    "'meta', 'queue', 'tally', 'job', 'batch', 'error', 'edge', 'key', 'heir', 'bound', 'gauge', 'worker', 'view', 'receipt',"  \
    " 'schedule', 'figure', 'happened', 'event', 'unit_answer', 'want_answer'"

/* Nobody's objects stand before the server's own, and what a role's settings say of time and compiling is not meant for this. */
#define BEGIN_TO_LOOK                                                                                                  \
    "BEGIN READ WRITE; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL statement_timeout = 0;"                  \
    " SET LOCAL jit = off;"

/* Every column of ours with its type, as one number: whoever changed a table made it another. */
#define SHAPE                                                                                                          \
    "(SELECT pg_catalog.md5(pg_catalog.string_agg(c.relname || '.' || a.attname || ' '"                                \
    " || pg_catalog.format_type(a.atttypid, NULL), ',' ORDER BY c.relname, a.attnum)) FROM pg_catalog.pg_class AS c"   \
    " JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"                 \
    " WHERE c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname = '@NAME')"               \
    " AND c.relname IN (" TABLES "))"

static int fail(struct jobq_store *s, const struct fault *fault, struct jobq_error *err)
{
    int status = fault->kind == FAULT_MEMORY ? JOBQ_NOMEM : JOBQ_UNREACHABLE;
    return pq_fault_report(s, fault, err, status);
}

/* Run it with names filled in, where nobody's objects stand before the server's own. A status; *out is to be cleared, and may
 * be NULL when nobody asks. */
static int run(struct jobq_store *s, const char *text, PGresult **out, struct jobq_error *err)
{
    struct fault fault = { 0 }, ignored = { 0 };
    bool open = PQtransactionStatus(s->link.conn) == PQTRANS_INTRANS;
    char *filled = pq_text(s, open ? "" : BEGIN_TO_LOOK, text, open ? "" : "; COMMIT");
    if (!filled)
        return jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    PGresult *result = pq_link_query(&s->link, filled, &fault);
    free(filled);
    if (!result && !open && s->link.conn)
        PQclear(pq_link_query(&s->link, "ROLLBACK", &ignored));
    if (!result)
        return fail(s, &fault, err);
    if (out)
        *out = result;
    else
        PQclear(result);
    return JOBQ_OK;
}

static int64_t number_at(const PGresult *result, int column)
{
    return PQntuples(result) ? strtoll(PQgetvalue(result, 0, column), NULL, 10) : 0;
}

/* ---- what is there? ------------------------------------------------------------------------------------------- */

enum found { FOUND_NOTHING, FOUND_STORE, FOUND_OTHER };

/* A table of ours is recognised by its columns; anything else of that name is somebody's own. */
static int look(struct jobq_store *s, enum found *out, struct jobq_error *err)
{
    PGresult *result;
    int status = run(s,
                     "SELECT count(*) FILTER (WHERE c.relname = 'meta' AND a.columns = 'one version store_id shift events event shape'),"
                     " count(*) FROM pg_catalog.pg_class AS c"
                     " CROSS JOIN LATERAL (SELECT pg_catalog.string_agg(a.attname, ' ' ORDER BY a.attnum) AS columns"
                     " FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0"
                     " AND NOT a.attisdropped) AS a"
                     " WHERE c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname = '@NAME')"
                     " AND c.relname IN (" TABLES ", 'fence')",
                     &result, err);
    if (status != JOBQ_OK)
        return status;
    bool meta = number_at(result, 0) > 0, any = number_at(result, 1) > 0;
    PQclear(result);
    *out = meta ? FOUND_STORE : any ? FOUND_OTHER : FOUND_NOTHING;
    return JOBQ_OK;
}

static int foreign(struct jobq_store *s, struct jobq_error *err)
{
    return jobq_error_set(err, JOBQ_FOREIGN, NULL,
                          "postgres: schema \"%s\" has tables of our names with another shape: it is not a store of ours",
                          s->address.name_space);
}

static int read_version(struct jobq_store *s, struct jobq_error *err)
{
    PGresult *result;
    int status = run(s, "SELECT m.version, pg_catalog.replace(m.store_id::text, '-', ''), m.shape = " SHAPE
                     " FROM @.meta AS m WHERE m.one = 1", &result, err);
    if (status != JOBQ_OK)
        return status;
    bool present = PQntuples(result) == 1;
    bool same = present && PQgetvalue(result, 0, 2)[0] == 't';
    if (present) {
        s->version = (int)number_at(result, 0);
        const char *hex = PQgetvalue(result, 0, 1);
        for (size_t i = 0; i < sizeof s->store_id && strlen(hex) == 32; i++)
            sscanf(hex + 2 * i, "%2hhx", &s->store_id[i]);
    }
    PQclear(result);
    if (!present)
        return jobq_error_set(err, JOBQ_CORRUPT, NULL, "postgres: the store's own line is missing");
    if (s->version == SCHEMA_VERSION && !same)
        return foreign(s, err);
    return JOBQ_OK;
}

/* ---- making it ---------------------------------------------------------------------------------------------------- */

static int make_functions(struct jobq_store *s, struct jobq_error *err)
{
    int status = JOBQ_OK;
    for (int i = 0; i < FUNCTION_COUNT && status == JOBQ_OK; i++)
        status = run(s, JOBQ_MUTATED(function_texts[i]), NULL, err);
    return status;
}

static int apply_steps(struct jobq_store *s, int from, struct jobq_error *err)
{
    int status = JOBQ_OK;
    for (int i = from; i < STEP_COUNT && status == JOBQ_OK; i++)
        status = run(s, step_texts[i], NULL, err);
    return status;
}

static int create(struct jobq_store *s, struct jobq_error *err)
{
    /* Where the schema is there already the right to make schemas is not needed. */
    int status = run(s,
                     "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = '@NAME') THEN"
                     " CREATE SCHEMA @SCHEMA; END IF; END $$",
                     NULL, err);
    if (status == JOBQ_OK)
        status = apply_steps(s, 0, err);
    if (status == JOBQ_OK)
        status = make_functions(s, err);
    if (status == JOBQ_OK)
        status = run(s, "INSERT INTO @.meta (one, version, store_id, shape)"
                     " VALUES (1, @VERSION, pg_catalog.gen_random_uuid(), " SHAPE ")", NULL, err);
    return status;
}

static int upgrade(struct jobq_store *s, struct jobq_error *err)
{
    int status = apply_steps(s, s->version, err);
    if (status == JOBQ_OK)
        status = make_functions(s, err);
    if (status == JOBQ_OK)
        status = run(s, "UPDATE @.meta SET version = @VERSION, shape = " SHAPE, NULL, err);
    return status;
}

/* Under the lock: look again, another may have been faster. */
static int make_or_upgrade(struct jobq_store *s, struct jobq_error *err)
{
    enum found found;
    int status = look(s, &found, err);
    if (status == JOBQ_OK && found == FOUND_OTHER)
        status = foreign(s, err);
    if (status == JOBQ_OK && found == FOUND_NOTHING)
        status = create(s, err);
    if (status == JOBQ_OK)
        status = read_version(s, err);
    if (status == JOBQ_OK && s->version < SCHEMA_VERSION)
        status = upgrade(s, err);
    return status == JOBQ_OK ? read_version(s, err) : status;
}

/* The functions are the library's own, and tests call each of them: to have them read here too would be a third of what it
 * takes to make a store. */
static int under_lock(struct jobq_store *s, struct jobq_error *err)
{
    struct fault fault = { 0 };
    PGresult *begun = pq_link_query(&s->link, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", &fault);
    if (!begun)
        return fail(s, &fault, err);
    PQclear(begun);
    int status = run(s,
                     "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL standard_conforming_strings = on;"
                     "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL check_function_bodies = off;"
                     "SET LOCAL jit = off;"
                     "SET LOCAL client_min_messages = error; SET LOCAL default_tablespace = '';"
                     "SELECT pg_advisory_xact_lock(@LOCK)",
                     NULL, err);
    if (status == JOBQ_OK)
        status = make_or_upgrade(s, err);
    PGresult *ended = s->link.conn ? pq_link_query(&s->link, status == JOBQ_OK ? "COMMIT" : "ROLLBACK", &fault) : NULL;
    if (!ended && status == JOBQ_OK)
        status = fail(s, &fault, err);
    PQclear(ended);
    return status;
}

/* ---- open ----------------------------------------------------------------------------------------------------------- */

/* Fences rise across a wipe and a restore: not below the clock in microseconds. The small step ahead is for a claim that
 * draws one between the look and the lift. */
static int lift_fence(struct jobq_store *s, struct jobq_error *err)
{
    return run(s,
               "SELECT pg_catalog.setval('@.fence', x.least + 100000) FROM"
               " (SELECT LEAST(@.clock(), 4503599627370) * 1000 AS least) AS x"
               " WHERE x.least > (SELECT f.last_value FROM @.fence AS f)",
               NULL, err);
}

int pq_schema_bring_up(struct jobq_store *s, uint32_t flags, struct jobq_error *err)
{
    enum found found;
    int status = look(s, &found, err);
    if (status == JOBQ_OK && found == FOUND_OTHER)
        return foreign(s, err);
    if (status == JOBQ_OK && found == FOUND_NOTHING && flags & (JOBQ_OPEN_NO_CREATE | JOBQ_OPEN_INSPECT))
        return jobq_error_set(err, JOBQ_UNREACHABLE, "uri", "postgres: there is no store in schema \"%s\" of %s",
                              s->address.name_space, s->address.shown);
    if (status == JOBQ_OK && found == FOUND_STORE)
        status = read_version(s, err);
    if (status == JOBQ_OK && s->version > SCHEMA_VERSION && !s->inspect)
        return jobq_error_set(err, JOBQ_NEWER, NULL,
                              "postgres: the store has version %d of the schema, this library knows %d", s->version,
                              SCHEMA_VERSION);
    if (status == JOBQ_OK && s->version < SCHEMA_VERSION && !s->inspect)
        status = under_lock(s, err);
    return status == JOBQ_OK && !s->inspect ? lift_fence(s, err) : status;
}
