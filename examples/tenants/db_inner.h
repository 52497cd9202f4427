/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_DB_INNER_H
#define TENANTS_DB_INNER_H

/* What a kind of database brings. */

#include "db.h"

struct db_kind {
    int (*open)(struct db *db, const char *uri);
    void (*close)(struct db *db);
    long (*each)(struct db *db, const char *sql, size_t count, const char *const *values, db_row fn,
                 void *user);
    int (*run)(struct db *db, const char *sql, size_t count, const char *const *values);
    int (*attach)(struct db *db, const char *name_space, const struct jobq_options *options,
                  struct jobq **out);
    const char *begin;
};

struct db {
    const struct db_kind *kind;
    void *connection;
    char error[300];
};

#ifdef SERVICE_SQLITE
extern const struct db_kind db_sqlite;
#endif
#ifdef SERVICE_POSTGRES
extern const struct db_kind db_postgres;
#endif

/* The address without the options that are the store's alone. Owned by the caller: free. */
char *db_plain_address(const char *uri);

/* The store's option, or `other`. Owned by the caller: free. */
char *db_option(const char *uri, const char *name, const char *other);

#endif
