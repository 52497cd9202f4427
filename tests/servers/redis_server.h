/* SPDX-License-Identifier: MIT */
/* A Redis (or Valkey) of this program's own: on a unix socket in a folder of its own, on no port, gone with the program. */
#ifndef REDIS_SERVER_H
#define REDIS_SERVER_H

#include <hiredis/hiredis.h>
#include <sys/types.h>

struct redis_server {
    pid_t pid;
    char folder[64], socket[80];
    int port; /* 0: none */
};

/* arguments: of the server's command line, NULL at the end; NULL: none. Ends the program with a clear text when there is no
 * server to start: a test without one proves nothing. */
void redis_server_start(struct redis_server *server, const char *const *arguments);
/* The same on a free port of 127.0.0.1 too. */
void redis_server_start_tcp(struct redis_server *server, const char *const *arguments);
/* A node of a cluster, on such a port, that has the slots of these tags and no other: a command or a script that touches a
 * key of another slot fails. names: NULL at the end. */
void redis_server_start_cluster(struct redis_server *server, const char *const *names);
/* Killed, and started anew with what it has saved. */
void redis_server_restart(struct redis_server *server, const char *const *arguments);
void redis_server_stop(struct redis_server *server);
/* A command to it beside the store, its answer to be freed. Must not fail; may be an error. */
redisReply *redis_server_ask(const struct redis_server *server, const char *format, ...);
/* The same for those whose answer says nothing; an error ends the program. */
void redis_server_do(const struct redis_server *server, const char *format, ...);

#endif
