/* SPDX-License-Identifier: MIT */
/* The Redis store: a server of Redis 6.2 or later, or Valkey; any number of processes and machines. pkg-config:
 * jobq-redis. */
#ifndef JOBQ_REDIS_H
#define JOBQ_REDIS_H

#include <jobq/jobq.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The table of the Redis store. URIs, everything in them %XX decoded:
 *   redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]     default port 6379, database 0; HOST may be [::1]
 *   rediss://...                                   the same through TLS, if the library was built with it
 *   redis+unix:///PATH/OF/SOCKET                   with the options db, user, password
 * Options:
 *   namespace=NAME   every key begins with "{NAME}:", default "jobq"
 *   db=NUMBER, user=NAME, password=TEXT
 *   evict=allow      take a server that may throw keys away (maxmemory-policy other than noeviction); refused otherwise
 * How safely the server keeps what was answered is its own setting: jobq_stats tells, doc/durability.md explains.
 * Static; never freed. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const struct jobq_backend *jobq_redis(void);

#ifdef __cplusplus
}
#endif
#endif
