/* SPDX-License-Identifier: MIT */
/* One private server, emptied for each sequence. */
#include "side_redis.h"

#include <jobq/redis.h>

#include <redis_server.h>

#include <stdlib.h>

static struct redis_server server;

static void leave(void)
{
    redis_server_stop(&server);
}

int side_fresh_redis(struct side *side)
{
    if (!server.pid) {
        redis_server_start(&server, NULL);
        atexit(leave);
    }
    redis_server_do(&server, "FLUSHALL");
    side->backend = jobq_redis();
    snprintf(side->uri, sizeof side->uri, "redis+unix://%s", server.socket);
    return 0;
}
