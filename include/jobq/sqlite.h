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

#ifdef __cplusplus
}
#endif
#endif
