/* SPDX-License-Identifier: MIT */
#include <jobq/conformance.h>
#include <jobq/redis.h>

#include <redis_server.h>

#include <stdio.h>

static struct redis_server server;

/* One server for the program, emptied for each store. */
static int fresh(char uri[JOBQ_CONFORMANCE_URI])
{
    redis_server_do(&server, "FLUSHALL");
    snprintf(uri, JOBQ_CONFORMANCE_URI, "redis+unix://%s", server.socket);
    return 0;
}

int main(int argc, char **argv)
{
    const struct jobq_conformance_fixture fixture = {
        .size = sizeof fixture, .name = "redis", .backend = jobq_redis(), .fresh = fresh,
    };
    redis_server_start(&server, NULL);
    int result = jobq_conformance(&fixture, argc, argv);
    redis_server_stop(&server);
    return result;
}
