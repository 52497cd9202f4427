/* SPDX-License-Identifier: MIT */
/* Triggers for a table of a SQLite file. They name each column, so they are made anew when the table gets
 * others. */
#include "outbox.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 60 /* what one json_object takes */

/* {"column": value, ...} of the row `row`, NEW or OLD; JSON holds no bytes, so these are hex digits. */
static void add_row(sqlite3_str *out, sqlite3_stmt *columns, const char *row)
{
    const char *comma = "";

    sqlite3_str_appendall(out, "json_object(");
    while (sqlite3_step(columns) == SQLITE_ROW) {
        const unsigned char *name = sqlite3_column_text(columns, 0);
        sqlite3_str_appendf(out,
                            "%s%Q, CASE typeof(%s.\"%w\") WHEN 'blob' THEN hex(%s.\"%w\") ELSE %s.\"%w\" END",
                            comma, name, row, name, row, name, row, name);
        comma = ", ";
    }
    sqlite3_reset(columns);
    sqlite3_str_appendall(out, ")");
}

static void add_head(sqlite3_str *out, const struct outbox *o, const char *operation, const char *suffix)
{
    sqlite3_str_appendf(out,
                        "DROP TRIGGER IF EXISTS \"%w_queue_sync_%s\";\n"
                        "CREATE TRIGGER \"%w_queue_sync_%s\" AFTER %s ON \"%w\" BEGIN\n",
                        o->table, suffix, o->table, suffix, operation, o->table);
}

static void add_put(sqlite3_str *out, const struct outbox *o, const char *operation, const char *row)
{
    sqlite3_str_appendf(
        out,
        "    INSERT INTO \"%w_outbox\"(queue, table_name, operation, record_id, change_data)\n"
        "    SELECT %Q, %Q, '%s', %s.\"%w\", ",
        o->name_space, o->queue, o->table, operation, row, o->column);
}

static void add_simple(sqlite3_str *out, const struct outbox *o, sqlite3_stmt *columns, const char *operation,
                       const char *suffix, const char *row)
{
    add_head(out, o, operation, suffix);
    add_put(out, o, operation, row);
    add_row(out, columns, row);
    sqlite3_str_appendall(out, ";\nEND;\n");
}

/* A row whose identity changes is two records: the old one goes. */
static void add_update(sqlite3_str *out, const struct outbox *o, sqlite3_stmt *columns)
{
    add_head(out, o, "UPDATE", "update");
    add_put(out, o, "DELETE", "OLD");
    add_row(out, columns, "OLD");
    sqlite3_str_appendf(out, "\n    WHERE OLD.\"%w\" IS NOT NEW.\"%w\";\n", o->column, o->column);
    add_put(out, o, "UPDATE", "NEW");
    sqlite3_str_appendall(out, "json_object('old', ");
    add_row(out, columns, "OLD");
    sqlite3_str_appendall(out, ", 'new', ");
    add_row(out, columns, "NEW");
    sqlite3_str_appendall(out, ");\nEND;\n");
}

static int number_of(sqlite3 *db, const struct outbox *o, const char *sql)
{
    sqlite3_stmt *row = NULL;
    int value = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK) {
        sqlite3_bind_text(row, 1, o->table, -1, SQLITE_STATIC);
        sqlite3_bind_text(row, 2, o->column, -1, SQLITE_STATIC);
        value = sqlite3_step(row) == SQLITE_ROW ? sqlite3_column_int(row, 0) : -1;
    }
    sqlite3_finalize(row);
    return value;
}

/* The column that was named, or the only one of the primary key: to be freed; NULL after a word. */
static char *find_column(struct cli *cli, sqlite3 *db, const struct outbox *o, int *code)
{
    sqlite3_stmt *row = NULL;
    char *name = NULL;

    if (number_of(db, o, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1") != 1) {
        *code = leave_error(cli, JOBQ_NOT_FOUND, "table", "the file has no table '%s'", o->table);
    } else if (number_of(db, o, "SELECT count(*) FROM pragma_table_info(?1)") > COLUMNS_MAX) {
        *code = leave_error(cli, JOBQ_UNSUPPORTED, "table", "'%s' has more than %d columns", o->table,
                            COLUMNS_MAX);
    } else if (o->column &&
               number_of(db, o, "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2") != 1) {
        *code = leave_usage(cli, "column", "'%s' has no column '%s'", o->table, o->column);
    } else if (!o->column &&
               number_of(db, o, "SELECT count(*) FROM pragma_table_info(?1) WHERE pk > 0") != 1) {
        *code = leave_usage(
            cli, "column", "'%s' has no primary key of one column: name the column that tells its rows apart",
            o->table);
    } else if (sqlite3_prepare_v2(
                   db, "SELECT name FROM pragma_table_info(?1) WHERE ?2 IS NULL AND pk > 0 OR name = ?2", -1,
                   &row, NULL) == SQLITE_OK) {
        sqlite3_bind_text(row, 1, o->table, -1, SQLITE_STATIC);
        sqlite3_bind_text(row, 2, o->column, -1, SQLITE_STATIC);
        name = sqlite3_step(row) == SQLITE_ROW ? strdup((const char *)sqlite3_column_text(row, 0)) : NULL;
    }
    sqlite3_finalize(row);
    return name;
}

static char *compose(sqlite3 *db, const struct outbox *o)
{
    sqlite3_str *out = sqlite3_str_new(db);
    sqlite3_stmt *columns = NULL;
    char *text, *copy;

    sqlite3_prepare_v2(db, "SELECT name FROM pragma_table_info(?1) ORDER BY cid", -1, &columns, NULL);
    sqlite3_bind_text(columns, 1, o->table, -1, SQLITE_STATIC);
    sqlite3_str_appendall(out, "BEGIN IMMEDIATE;\n");
    add_simple(out, o, columns, "INSERT", "insert", "NEW");
    add_update(out, o, columns);
    add_simple(out, o, columns, "DELETE", "delete", "OLD");
    sqlite3_str_appendall(out, "COMMIT;\n");
    sqlite3_finalize(columns);
    text = sqlite3_str_finish(out);
    copy = text ? strdup(text) : NULL;
    sqlite3_free(text);
    return copy;
}

static int write_into(struct cli *cli, sqlite3 *db, struct outbox *o)
{
    char *column;
    int code = leave_code(JOBQ_FAILED);

    column = find_column(cli, db, o, &code);
    if (!column) {
        return code;
    }
    o->column = column;
    o->sql = compose(db, o);
    if (!o->sql) {
        code = leave_error(cli, JOBQ_NOMEM, "", "out of memory");
    } else if (!o->dry_run && sqlite3_exec(db, o->sql, NULL, NULL, NULL) != SQLITE_OK) {
        code = leave_error(cli, JOBQ_FAILED, "table", "%s", sqlite3_errmsg(db));
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    } else {
        code = LEAVE_OK;
    }
    o->column = NULL;
    free(column);
    return code;
}

int outbox_sqlite(struct cli *cli, struct outbox *o)
{
    char *file = store_file(cli->uri);
    sqlite3 *db = NULL;
    int code;

    if (!file || sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        code = leave_error(cli, JOBQ_UNREACHABLE, "store", "%s", db ? sqlite3_errmsg(db) : "out of memory");
    } else {
        sqlite3_busy_timeout(db, 30000);
        code = write_into(cli, db, o);
    }
    sqlite3_close(db);
    free(file);
    return code;
}
