/* SPDX-License-Identifier: MIT */
#include <jobq/postgres.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_inner.h"

#define COLUMNS_MOST 32

static int fail(struct db *db, const PGresult *result)
{
    const char *text = result ? PQresultErrorMessage(result) : PQerrorMessage(db->connection);

    snprintf(db->error, sizeof(db->error), "%s", text);
    db->error[strcspn(db->error, "\n")] = '\0';
    return -1;
}

static void be_quiet(void *user, const char *text)
{
    (void)user, (void)text; /* "already exists, skipping" */
}

static int open_server(struct db *db, const char *uri)
{
    PGconn *connection = PQconnectdb(uri);

    db->connection = connection;
    PQsetNoticeProcessor(connection, be_quiet, NULL);
    return PQstatus(connection) == CONNECTION_OK ? 0 : fail(db, NULL);
}

static void close_server(struct db *db)
{
    PQfinish(db->connection);
}

static void give_row(const PGresult *result, db_row fn, void *user, int *ended)
{
    const char *names[COLUMNS_MOST], *values[COLUMNS_MOST];
    int columns = PQnfields(result) < COLUMNS_MOST ? PQnfields(result) : COLUMNS_MOST;

    for (int i = 0; i < columns; i++) {
        names[i] = PQfname(result, i);
        values[i] = PQgetisnull(result, 0, i) ? NULL : PQgetvalue(result, 0, i);
    }
    if (fn && !*ended)
        *ended = fn(user, columns, names, values);
}

static long read_rows(struct db *db, db_row fn, void *user, int *changed)
{
    PGresult *result;
    long rows = 0;
    int ended = 0, failed = 0;

    while ((result = PQgetResult(db->connection)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_SINGLE_TUPLE) {
            rows++;
            give_row(result, fn, user, &ended);
        } else if (status == PGRES_COMMAND_OK)
            *changed = (int)strtol(PQcmdTuples(result), NULL, 10);
        else if (status != PGRES_TUPLES_OK)
            failed = fail(db, result);
        PQclear(result);
    }
    return failed ? -1 : rows;
}

static long ask(struct db *db, const char *sql, size_t count, const char *const *values, db_row fn,
                void *user, int *changed)
{
    if (!PQsendQueryParams(db->connection, sql, (int)count, NULL, values, NULL, NULL, 0) ||
        !PQsetSingleRowMode(db->connection))
        return fail(db, NULL);
    return read_rows(db, fn, user, changed);
}

static long each(struct db *db, const char *sql, size_t count, const char *const *values, db_row fn,
                 void *user)
{
    int changed = 0;

    return ask(db, sql, count, values, fn, user, &changed);
}

/* A COMMIT of a transaction that had failed answers ROLLBACK. */
static int run(struct db *db, const char *sql, size_t count, const char *const *values)
{
    int changed = 0, was_failed = PQtransactionStatus(db->connection) == PQTRANS_INERROR;

    if (ask(db, sql, count, values, NULL, NULL, &changed) < 0)
        return -1;
    if (was_failed && strcmp(sql, "COMMIT") == 0) {
        snprintf(db->error, sizeof(db->error), "the transaction was rolled back");
        return -1;
    }
    return changed;
}

static int attach(struct db *db, const char *name_space, const struct jobq_options *options,
                  struct jobq **out)
{
    return jobq_postgres_attach(out, db->connection, name_space, options);
}

const struct db_kind db_postgres = {open_server, close_server, each, run, attach, "BEGIN"};
