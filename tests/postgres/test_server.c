/* SPDX-License-Identifier: MIT */
#include "test_server.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *server_address(void)
{
    const char *address = getenv("JOBQ_TEST_POSTGRES");
    if (!address)
        printf("Bail out! JOBQ_TEST_POSTGRES is not set: the address of a private Postgres; tests/all.sh starts one\n");
    return address;
}

void server_address_of(const char *address, const char *database, char *out, size_t size)
{
    const char *host = strstr(address, "//") ? strstr(address, "//") + 2 : address;
    int head = (int)(host - address) + (int)strcspn(host, "/?");
    const char *options = strchr(address, '?');
    snprintf(out, size, "%.*s/%s%s", head, address, database, options ? options : "");
}

static PGresult *run(const char *database, const char *text, PGconn **conn)
{
    char address[512];
    server_address_of(getenv("JOBQ_TEST_POSTGRES"), database, address, sizeof address);
    *conn = PQconnectdb(address);
    PQclear(PQexec(*conn, "SET client_min_messages = error"));
    PGresult *result = PQexec(*conn, text);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return result;
    fprintf(stderr, "%s: %s", text, PQerrorMessage(*conn));
    PQclear(result);
    return NULL;
}

int server_run(const char *database, const char *text)
{
    PGconn *conn;
    PGresult *result = run(database, text, &conn);
    int status = result ? 0 : -1;
    PQclear(result);
    PQfinish(conn);
    return status;
}

char *server_ask(const char *database, const char *text)
{
    PGconn *conn;
    PGresult *result = run(database, text, &conn);
    char *answer = strdup(result && PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(conn);
    return answer;
}

/* Row by row, which for the few rows of a test takes a fraction of the time of TRUNCATE: that makes new files for each
 * table and index, and each session looks at them anew. A table that grew is truncated, so that dead rows do not pile up. */
static const char emptying[] =
    "DO $$ DECLARE one text; grown text; BEGIN"
    "  IF to_regclass('%1$s.meta') IS NULL THEN RETURN; END IF;"
    "  FOR one IN SELECT oid::regclass FROM pg_class WHERE relnamespace = to_regnamespace('%1$s') AND relkind = 'r'"
    "    AND relname <> 'meta' AND pg_relation_size(oid) > 0 AND pg_table_size(oid) <= 262144 LOOP"
    "    EXECUTE 'DELETE FROM ' || one;"
    "  END LOOP;"
    "  SELECT string_agg(oid::regclass::text, ', ') INTO grown FROM pg_class"
    "  WHERE relnamespace = to_regnamespace('%1$s') AND relkind = 'r' AND relname <> 'meta'"
    "    AND pg_table_size(oid) > 262144;"
    "  IF grown IS NOT NULL THEN EXECUTE 'TRUNCATE ' || grown; END IF;"
    "  PERFORM setval(oid::regclass, 1, false) FROM pg_class"
    "  WHERE relnamespace = to_regnamespace('%1$s') AND relkind = 'S' AND relname NOT IN ('fence', 'jump');"
    "  UPDATE %1$s.meta SET shift = 0, events = 0, event = 0, store_id = gen_random_uuid();"
    "  PERFORM setval('%1$s.fence', 1), nextval('%1$s.jump');" /* handles stay open, and the clock goes back */
    "END $$";

int server_empty(const char *database, const char *name_space)
{
    char text[2000];
    snprintf(text, sizeof text, emptying, name_space);
    return server_run(database, text);
}
