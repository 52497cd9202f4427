/* SPDX-License-Identifier: MIT */
#include <jobq/sqlite.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_inner.h"

#define COLUMNS_MOST 32
#define BUSY_MS      30000

static int fail(struct db *db)
{
    snprintf(db->error, sizeof(db->error), "%s", sqlite3_errmsg(db->connection));
    return -1;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static void decode(char *text)
{
    char *out = text;

    for (; *text; text++) {
        if (*text == '%' && digit(text[1]) >= 0 && digit(text[2]) >= 0) {
            *out++ = (char)(digit(text[1]) * 16 + digit(text[2]));
            text += 2;
        } else
            *out++ = *text;
    }
    *out = '\0';
}

static int open_file(struct db *db, const char *uri)
{
    char *file = strndup(uri + strlen("sqlite:"), strcspn(uri + strlen("sqlite:"), "?"));
    sqlite3 *connection = NULL;
    int code;

    if (!file)
        return -1;
    decode(file);
    code = sqlite3_open_v2(file, &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    free(file);
    db->connection = connection;
    if (code != SQLITE_OK || sqlite3_busy_timeout(connection, BUSY_MS) != SQLITE_OK)
        return fail(db);
    return 0;
}

static void close_file(struct db *db)
{
    sqlite3_close(db->connection);
}

static sqlite3_stmt *prepare(struct db *db, const char *sql, size_t count, const char *const *values)
{
    sqlite3_stmt *row = NULL;

    if (sqlite3_prepare_v2(db->connection, sql, -1, &row, NULL) != SQLITE_OK)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (sqlite3_bind_text(row, (int)i + 1, values[i], -1, SQLITE_STATIC) != SQLITE_OK) {
            sqlite3_finalize(row);
            return NULL;
        }
    return row;
}

static int give_row(sqlite3_stmt *row, db_row fn, void *user)
{
    const char *names[COLUMNS_MOST], *values[COLUMNS_MOST];
    int columns = sqlite3_column_count(row);

    for (int i = 0; i < columns && i < COLUMNS_MOST; i++) {
        names[i] = sqlite3_column_name(row, i);
        values[i] = (const char *)sqlite3_column_text(row, i);
    }
    return fn(user, columns < COLUMNS_MOST ? columns : COLUMNS_MOST, names, values);
}

static long each(struct db *db, const char *sql, size_t count, const char *const *values, db_row fn,
                 void *user)
{
    sqlite3_stmt *row = prepare(db, sql, count, values);
    int code = row ? SQLITE_ROW : SQLITE_ERROR;
    long rows = 0;

    while (code == SQLITE_ROW && (code = sqlite3_step(row)) == SQLITE_ROW) {
        rows++;
        if (fn && give_row(row, fn, user) != 0)
            code = SQLITE_DONE;
    }
    if (code != SQLITE_DONE)
        rows = fail(db);
    sqlite3_finalize(row);
    return rows;
}

static int run(struct db *db, const char *sql, size_t count, const char *const *values)
{
    return each(db, sql, count, values, NULL, NULL) < 0 ? -1 : sqlite3_changes(db->connection);
}

static int attach(struct db *db, const char *name_space, const struct jobq_options *options,
                  struct jobq **out)
{
    return jobq_sqlite_attach(out, db->connection, name_space, options);
}

/* Read, then written: only a transaction that begins with the lock cannot be refused in its middle. */
const struct db_kind db_sqlite = {open_file, close_file, each, run, attach, "BEGIN IMMEDIATE"};
