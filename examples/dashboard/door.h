/* SPDX-License-Identifier: MIT */
#ifndef DASH_DOOR_H
#define DASH_DOOR_H

/* A program's own routes and the dashboard behind one address, from start to stop. */

#include "dashboard.h"
#include "http.h"

struct door {
    struct http_server *server;
    struct dash *dash;           /* there before the first request comes */
    struct http_mount mounts[4]; /* as long as the server */
};

/* The program's own mount, whose strings and routes are lent. Returns 0, or -1 with *why and nothing open. */
int door_open(struct door *door, const char *listen, const struct http_mount *own,
              const struct dash_options *options, const char **why);

/* One that is not open is fine when it is all zero. */
void door_close(struct door *door);

#endif
