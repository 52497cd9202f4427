/* SPDX-License-Identifier: MIT */
/* One database for the program, in which a store is made once and emptied for each test. With JOBQ_TEST_POSTGRES_VIA the
 * suite talks to that address (a pooler) and only the preparations go to the server itself. */
#include <jobq/conformance.h>
#include <jobq/postgres.h>

#include <test_server.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char database[64];

static int fresh(char uri[JOBQ_CONFORMANCE_URI])
{
    const char *via = getenv("JOBQ_TEST_POSTGRES_VIA");
    server_address_of(via ? via : server_address(), database, uri, JOBQ_CONFORMANCE_URI);
    if (server_run(database, "DROP SCHEMA IF EXISTS other_1 CASCADE") != 0)
        return -1;
    return server_empty(database, "jobq");
}

int main(int argc, char **argv)
{
    struct jobq_backend backend = *jobq_postgres();
    const struct jobq_conformance_fixture fixture = {
        .size = sizeof fixture, .name = "postgres", .backend = &backend, .fresh = fresh,
    };
    char text[128];
    if (!server_address())
        return 1;
    if (getenv("JOBQ_TEST_POSTGRES_VIA")) /* the worker polls there */
        backend.capabilities &= ~(uint32_t)JOBQ_CAP_WAKE;
    snprintf(database, sizeof database, "conformance_%ld", (long)getpid());
    snprintf(text, sizeof text, "CREATE DATABASE %s", database);
    if (server_run("postgres", text) != 0)
        return 1;
    int status = jobq_conformance(&fixture, argc, argv);
    snprintf(text, sizeof text, "DROP DATABASE %s WITH (FORCE)", database);
    server_run("postgres", text);
    return status;
}
