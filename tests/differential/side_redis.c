/* SPDX-License-Identifier: MIT */
/* One private server, emptied for each sequence. */
#include "side_redis.h"

#include <jobq/redis.h>

#include <redis_server.h>

#include <stdlib.h>

static struct server server;

static void leave(void)
{
    server_stop(&server);
}

int side_fresh_redis(struct side *side)
{
    if (!server.pid) {
        server_start(&server, NULL);
        atexit(leave);
    }
    server_do(&server, "FLUSHALL");
    side->backend = jobq_redis();
    snprintf(side->uri, sizeof side->uri, "redis+unix://%s", server.socket);
    return 0;
}
