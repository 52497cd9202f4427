/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_DB_H
#define TENANTS_DB_H

/*
 * The program's own tables, in SQLite or Postgres, and SQL that both take. Parameters are $1, $2 ... in the
 * order of their first appearance, values are text, NULL is NULL. A connection belongs to one thread at a
 * time.
 */

#include <jobq/jobq.h>
#include <stddef.h>

struct db;

/* One row; NULL is NULL. A return other than 0 ends the reading. */
typedef int (*db_row)(void *user, int columns, const char *const *names, const char *const *values);

/* "sqlite:FILE" or "postgres://...". NULL and why. */
struct db *db_open(const char *uri, char why[300]);
void db_close(struct db *db);

/* Whether a store at this address can take part in transactions of the program. */
int db_is_transactional(const char *uri);

/* Whether both addresses are one database: of the store and of the tables. */
int db_is_same(const char *uri, const char *other);

/* Makes the rows' changes; how many rows, or -1. */
int db_run(struct db *db, const char *sql, size_t count, const char *const *values);

/* Gives each row to fn, which may be NULL; how many there were, or -1. Memory does not grow with the rows. */
long db_each(struct db *db, const char *sql, size_t count, const char *const *values, db_row fn, void *user);

/* What the last call that returned -1 said. A connection that failed may be of no more use: see desk.h. */
const char *db_error(const struct db *db);

/* A handle of the store inside this connection's transactions; NULL and why. Closed before the connection. */
struct jobq *db_attach(struct db *db, const char *store_uri, const struct jobq_options *options,
                       char why[300]);

/* The tables of the program, made where they are missing. 0 or -1. */
int db_make_tables(struct db *db);

/* A transaction that writes. 0 or -1; after a commit that failed it is rolled back or its outcome unknown. */
int db_begin(struct db *db);
int db_commit(struct db *db);
void db_rollback(struct db *db);

#endif
