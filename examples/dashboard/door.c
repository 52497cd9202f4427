/* SPDX-License-Identifier: MIT */
#include "door.h"

static void release(struct door *door)
{
    http_stop(door->server);
    dash_destroy(door->dash);
    *door = (struct door){.server = NULL};
}

int door_open(struct door *door, const char *listen, const struct http_mount *own,
              const struct dash_options *options, const char **why)
{
    const struct http_options http = {
        .listen = listen, .mounts = door->mounts, .open = options->auth == NULL};

    *door = (struct door){.mounts = {*own}};
    door->dash = dash_create(options, why);
    if (!door->dash)
        return -1;
    dash_mounts(door->dash, &door->mounts[1]);
    door->server = http_start(&http, why);
    if (door->server) {
        *why = "no thread can be started";
        if (dash_start(door->dash, door->server) == 0)
            return 0;
    }
    release(door);
    return -1;
}

void door_close(struct door *door)
{
    if (door->server)
        dash_stop(door->dash);
    release(door);
}
