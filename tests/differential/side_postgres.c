/* SPDX-License-Identifier: MIT */
/* One namespace of the private server, emptied for each sequence. Every second one runs beside a transaction that keeps
 * what was deleted in the way of all who look. */
#include "side_postgres.h"

#include <jobq/postgres.h>

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <test_server.h>

static char name_space[40];
static PGconn *watcher;

static void leave(void)
{
    char text[100];
    PQfinish(watcher);
    snprintf(text, sizeof text, "DROP SCHEMA IF EXISTS %s CASCADE", name_space);
    server_run("postgres", text);
}

static int watch(const char *address)
{
    watcher = PQconnectdb(address);
    PGresult *result = PQexec(watcher, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
    int status = PQresultStatus(result) == PGRES_TUPLES_OK ? 0 : -1;
    if (status != 0)
        fprintf(stderr, "%s", PQerrorMessage(watcher));
    PQclear(result);
    return status;
}

int side_fresh_postgres(struct side *side)
{
    const char *address = server_address();
    side->backend = jobq_postgres();
    side->remembers = true;
    if (!address)
        return -1;
    if (!name_space[0]) {
        snprintf(name_space, sizeof name_space, "differential_%ld", (long)getpid());
        atexit(leave);
    }
    snprintf(side->uri, sizeof side->uri, "%s%cnamespace=%s", address, strchr(address, '?') ? '&' : '?', name_space);
    PQfinish(watcher);
    watcher = NULL;
    if (server_empty("postgres", name_space) != 0)
        return -1;
    return side->seed % 2 ? watch(address) : 0;
}
