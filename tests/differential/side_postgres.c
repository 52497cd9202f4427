/* SPDX-License-Identifier: MIT */
/* One namespace of the server in JOBQ_TEST_POSTGRES, emptied for each sequence. */
#include "side_postgres.h"

#include <jobq/postgres.h>

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static PGconn *conn;
static char name_space[40];

static void leave(void)
{
    char text[100];
    snprintf(text, sizeof text, "DROP SCHEMA %s CASCADE", name_space);
    PQclear(PQexec(conn, text));
    PQfinish(conn);
}

static int connect_once(const char *address)
{
    if (conn)
        return 0;
    snprintf(name_space, sizeof name_space, "differential_%ld", (long)getpid());
    conn = PQconnectdb(address);
    PQclear(PQexec(conn, "SET client_min_messages = error"));
    if (PQstatus(conn) == CONNECTION_OK) {
        atexit(leave);
        return 0;
    }
    fprintf(stderr, "%s", PQerrorMessage(conn));
    return -1;
}

static int empty(void)
{
    char text[800];
    snprintf(text, sizeof text,
             "DO $$ DECLARE list text; BEGIN"
             "  SELECT string_agg(format('%s.%%I', relname), ', ') INTO list FROM pg_class"
             "  WHERE relnamespace = to_regnamespace('%s') AND relkind = 'r' AND relname <> 'meta';"
             "  IF list IS NOT NULL THEN"
             "    EXECUTE 'TRUNCATE ' || list || ' RESTART IDENTITY';"
             "    UPDATE %s.meta SET shift = 0;"
             "  END IF; END $$",
             name_space, name_space, name_space);
    PGresult *result = PQexec(conn, text);
    int status = PQresultStatus(result) == PGRES_COMMAND_OK ? 0 : -1;
    if (status != 0)
        fprintf(stderr, "%s", PQerrorMessage(conn));
    PQclear(result);
    return status;
}

int side_fresh_postgres(struct side *side)
{
    const char *address = getenv("JOBQ_TEST_POSTGRES");
    side->backend = jobq_postgres();
    if (!address) {
        fprintf(stderr, "JOBQ_TEST_POSTGRES is not set: the address of a private Postgres; tests/all.sh starts one\n");
        return -1;
    }
    if (connect_once(address) != 0 || empty() != 0)
        return -1;
    snprintf(side->uri, sizeof side->uri, "%s%cnamespace=%s", address, strchr(address, '?') ? '&' : '?', name_space);
    return 0;
}
