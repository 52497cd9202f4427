/* SPDX-License-Identifier: MIT */
/* One database for the program, in which a store is made once and emptied for each test. With JOBQ_TEST_POSTGRES_VIA the
 * suite talks to that address (a pooler) and only the preparations go to the server itself. */
#include <jobq/conformance.h>
#include <jobq/postgres.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char database[64];

/* The address with our database in it: postgres:///NAME?..., or with a host. */
static void address_of(const char *address, const char *name, char *out, size_t size)
{
    const char *host = strstr(address, "//") ? strstr(address, "//") + 2 : address;
    int head = (int)(host - address) + (int)strcspn(host, "/?");
    const char *options = strchr(address, '?');
    snprintf(out, size, "%.*s/%s%s", head, address, name, options ? options : "");
}

static int run(const char *name, const char *text)
{
    char address[JOBQ_CONFORMANCE_URI];
    address_of(getenv("JOBQ_TEST_POSTGRES"), name, address, sizeof address);
    PGconn *conn = PQconnectdb(address);
    PGresult *result = PQexec(conn, text);
    int done = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!done)
        fprintf(stderr, "%s: %s", text, PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
    return done ? 0 : -1;
}

/* The tables of "jobq" are emptied, other schemas that a test made go. */
static int fresh(char uri[JOBQ_CONFORMANCE_URI])
{
    const char *via = getenv("JOBQ_TEST_POSTGRES_VIA");
    address_of(via ? via : getenv("JOBQ_TEST_POSTGRES"), database, uri, JOBQ_CONFORMANCE_URI);
    return run(database,
               "SET client_min_messages = error; DROP SCHEMA IF EXISTS other_1 CASCADE;"
               "DO $$ DECLARE list text; BEGIN"
               "  SELECT string_agg(format('jobq.%I', relname), ', ') INTO list FROM pg_class"
               "  WHERE relnamespace = to_regnamespace('jobq') AND relkind = 'r' AND relname <> 'meta';"
               "  IF list IS NOT NULL THEN"
               "    EXECUTE 'TRUNCATE ' || list || ' RESTART IDENTITY';"
               "    UPDATE jobq.meta SET shift = 0, store_id = gen_random_uuid();"
               "    PERFORM setval('jobq.fence', 1);"
               "  END IF; END $$");
}

int main(int argc, char **argv)
{
    struct jobq_backend backend = *jobq_postgres();
    const struct jobq_conformance_fixture fixture = {
        .size = sizeof fixture, .name = "postgres", .backend = &backend, .fresh = fresh,
    };
    char text[128];
    if (!getenv("JOBQ_TEST_POSTGRES")) {
        printf("Bail out! JOBQ_TEST_POSTGRES is not set: the address of a private Postgres; tests/all.sh starts one\n");
        return 1;
    }
    if (getenv("JOBQ_TEST_POSTGRES_VIA")) /* the worker polls there */
        backend.capabilities &= ~(uint32_t)JOBQ_CAP_WAKE;
    snprintf(database, sizeof database, "conformance_%ld", (long)getpid());
    snprintf(text, sizeof text, "CREATE DATABASE %s", database);
    if (run("postgres", text) != 0)
        return 1;
    int status = jobq_conformance(&fixture, argc, argv);
    snprintf(text, sizeof text, "DROP DATABASE %s WITH (FORCE)", database);
    run("postgres", text);
    return status;
}
