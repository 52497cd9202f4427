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

struct pg_conn; /* libpq's PGconn */

/*
 * A handle whose calls are parts of the transaction that the program has open on its own connection `conn`: an enqueue that
 * is rolled back never was, and an ack is there if and only if the program's own changes beside it are.
 *
 *   conn        a connection to a server of version 13 or newer, connected, no transaction open now, not in pipeline mode. The
 *               schema of the namespace is made if it is missing. It stays the program's and is closed after the handle.
 *   name_space  NULL: "jobq"
 *   options     as for jobq_open, flags 0; NULL: defaults
 *
 * Enqueue, ack, fail and the other outcomes, progress, cancel, get and list work as always, but only while a transaction is
 * open (else JOBQ_FAILED), at its isolation. A call that fails takes back its own part only. What waits for a lock waits as
 * the connection's lock_timeout and statement_timeout say. Where a depth limit is set, an enqueue locks the queue until the
 * transaction ends. Jobs that were claimed together are held together: after an outcome of one, outcomes of the others and
 * their heartbeats wait for the transaction, so it is to end well within a lease. A snapshot (REPEATABLE READ) does not know
 * an id that was put and claimed since: it is put a second time. Claims, workers, settings, statistics and waiting need a
 * handle of jobq_open.
 *
 * JOBQ_STALE, and JOBQ_FAILED for an outcome, make the transaction fail: nothing but ROLLBACK is accepted, and COMMIT rolls
 * back and says so.
 *
 * Who waits for work is told when the transaction is committed; jobq_wake is not needed.
 * Threads: whoever uses the connection, one at a time. Errors: JOBQ_INVALID (conn, namespace, options), JOBQ_STATE (a
 * transaction is open), JOBQ_UNSUPPORTED (an older server), JOBQ_UNREACHABLE, JOBQ_FOREIGN, JOBQ_NEWER, JOBQ_CORRUPT,
 * JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_postgres_attach(struct jobq **out, struct pg_conn *conn, const char *name_space,
                                  const struct jobq_options *options);

#ifdef __cplusplus
}
#endif
#endif
