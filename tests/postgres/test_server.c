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

int server_empty(const char *database, const char *name_space)
{
    char text[1000];
    snprintf(text, sizeof text,
             "DO $$ DECLARE list text; BEGIN"
             "  SELECT string_agg(format('%s.%%I', relname), ', ') INTO list FROM pg_class"
             "  WHERE relnamespace = to_regnamespace('%s') AND relkind = 'r' AND relname <> 'meta';"
             "  IF list IS NOT NULL THEN"
             "    EXECUTE 'TRUNCATE ' || list || ' RESTART IDENTITY';"
             "    UPDATE %s.meta SET shift = 0, events = 0, event = 0, store_id = gen_random_uuid();"
             "    PERFORM setval('%s.fence', 1), nextval('%s.jump');" /* handles stay open, and the clock goes back */
             "  END IF; END $$",
             name_space, name_space, name_space, name_space, name_space);
    return server_run(database, text);
}
