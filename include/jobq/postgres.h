/* SPDX-License-Identifier: MIT */
/* The Postgres store: a schema of a database, any number of processes on any number of machines. Server 13 or newer, libpq
 * 14 or newer. pkg-config: jobq-postgres. */
#ifndef JOBQ_POSTGRES_H
#define JOBQ_POSTGRES_H

#include <jobq/jobq.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The table of the Postgres store. URI "postgres://..." or "postgresql://..." as libpq takes it, with these options beside
 * libpq's own:
 *   namespace=NAME  the schema that everything lives in, default "jobq"; made if it is missing and the role may
 *   notify=on|off   default on: tell those who wait about new work when it is committed
 *   listen=on|off   default on: be told; off, and behind a pooler that shares connections: the worker polls
 * A TCP connection to another host than loopback verifies the server (sslmode=verify-full) unless the URI names an sslmode.
 * Static; never freed. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const struct jobq_backend *jobq_postgres(void);

#ifdef __cplusplus
}
#endif
#endif
