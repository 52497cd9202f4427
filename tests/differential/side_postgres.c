/* SPDX-License-Identifier: MIT */
/* One namespace of the private server, emptied for each sequence. */
#include "side_postgres.h"

#include <jobq/postgres.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <test_server.h>

static char name_space[40];

static void leave(void)
{
    char text[100];
    snprintf(text, sizeof text, "DROP SCHEMA IF EXISTS %s CASCADE", name_space);
    server_run("postgres", text);
}

int side_fresh_postgres(struct side *side)
{
    const char *address = server_address();
    side->backend = jobq_postgres();
    if (!address)
        return -1;
    if (!name_space[0]) {
        snprintf(name_space, sizeof name_space, "differential_%ld", (long)getpid());
        atexit(leave);
    }
    snprintf(side->uri, sizeof side->uri, "%s%cnamespace=%s", address, strchr(address, '?') ? '&' : '?', name_space);
    return server_empty("postgres", name_space);
}
