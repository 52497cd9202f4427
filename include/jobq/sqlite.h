/* SPDX-License-Identifier: MIT */
/* The SQLite store: one file, any number of processes on one machine. pkg-config: jobq-sqlite. */
#ifndef JOBQ_SQLITE_H
#define JOBQ_SQLITE_H

#include <jobq/jobq.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The table of the SQLite store. URI "sqlite:FILE", FILE relative or absolute, %XX decoded. Options:
 *   namespace=NAME       prefix of the tables, default "jobq"
 *   synchronous=full|normal  default full: durable on return also across power loss; doc/durability.md
 * The file is made with mode 0600 if it is missing; a symbolic link is not followed then.
 * Static; never freed. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const struct jobq_backend *jobq_sqlite(void);

struct sqlite3; /* of <sqlite3.h>, which this header does not need */

/*
 * A handle whose calls are parts of the transaction that the program has open on its own connection `db`: an
 * enqueue that is rolled back never was, and an ack is there if and only if the program's own changes beside
 * it are.
 *
 *   db          a database in a file; no transaction is open now. It is put into write-ahead mode, and the
 *               tables of the namespace are made if they are missing. It stays the program's and is closed
 *               after the handle.
 *   name_space  NULL: "jobq"
 *   options     as for jobq_open, flags 0; NULL: defaults
 *
 * Enqueue, ack, ack_then, fail and the other outcomes, progress, cancel, get and list work as always, but
 * only while a transaction is open (else JOBQ_FAILED). BEGIN IMMEDIATE is the right beginning: a transaction
 * that has read before it writes may find that it cannot write any more. Claims, workers, settings,
 * statistics and waiting need a handle of jobq_open.
 *
 * JOBQ_STALE, and JOBQ_FAILED for an outcome, bar the transaction: COMMIT and RELEASE are refused, ROLLBACK
 * is accepted. After it the next call on the handle takes the bar away; if the next COMMIT is not to wait for
 * one, call jobq_wake. A handle that is closed while the bar stands rolls the transaction back.
 *
 * Any other JOBQ_FAILED leaves the transaction as it was before the call, unless SQLite has rolled it back by
 * itself, which it may where there is no room (sqlite3_get_autocommit tells).
 *
 * After the commit call jobq_wake, so that workers learn of it at once. Versions of SQLite before 3.51.3 can
 * damage a file when two connections checkpoint and write at the same instant; there the connection's
 * automatic checkpoints are switched off (with them goes a hook set by sqlite3_wal_hook), and jobq_wake makes
 * them when the log has grown.
 *
 * sqlite3_changes and sqlite3_last_insert_rowid of the connection change with each call. Threads: whoever
 * uses the connection, one at a time. Errors: JOBQ_INVALID (db, namespace, options), JOBQ_STATE (a
 * transaction is open), JOBQ_UNSUPPORTED (not in a file), JOBQ_UNREACHABLE, JOBQ_FOREIGN, JOBQ_NEWER,
 * JOBQ_CORRUPT, JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_sqlite_attach(struct jobq **out, struct sqlite3 *db, const char *name_space,
                                const struct jobq_options *options);

#ifdef __cplusplus
}
#endif
#endif
