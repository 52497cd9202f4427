/* SPDX-License-Identifier: MIT */
/* Statements: prepared in one loop, bound and run in one place, and their failures understood in one place. */
#define SQL_TEXTS
#include "store.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- failures ---------------------------------------------------------------------------------------------- */

int sq_fault_text(struct jobq_store *s, int code, const char *format, ...)
{
    va_list args;

    s->fault.code = code;
    va_start(args, format);
    if (vsnprintf(s->fault.text, sizeof s->fault.text, format, args) < 0)
        s->fault.text[0] = 0;
    va_end(args);
    return -1;
}

int sq_fault(struct jobq_store *s, int code)
{
    int extended = s->db ? sqlite3_extended_errcode(s->db) : code;
    if ((extended & 0xff) != (code & 0xff))
        extended = code;
    return sq_fault_text(s, extended, "%s", s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
}

int sq_fault_memory(struct jobq_store *s)
{
    return sq_fault_text(s, SQLITE_NOMEM, "out of memory");
}

int sq_fault_class(const struct jobq_store *s)
{
    if (s->fault.code == SQLITE_IOERR_WRITE) /* a limit on the size of files is reported so */
        return JOBQ_FAILURE_FULL;
    switch (s->fault.code & 0xff) {
    case SQLITE_FULL:
        return JOBQ_FAILURE_FULL;
    case SQLITE_TOOBIG:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISUSE:
        return JOBQ_FAILURE_REFUSED;
    default:
        return JOBQ_FAILURE_TRANSIENT;
    }
}

int sq_fault_report(const struct jobq_store *s, struct jobq_error *err, int status)
{
    return jobq_error_set(err, status, NULL, "sqlite: %s (%d)", s->fault.text, s->fault.code);
}

/* ---- preparing ----------------------------------------------------------------------------------------------- */

char *sq_in_namespace(const struct jobq_store *s, const char *text)
{
    sqlite3_str *out = sqlite3_str_new(s->db);
    for (const char *c = text; *c; c++) {
        sqlite3_str_appendchar(out, 1, *c);
        if (*c == '[')
            sqlite3_str_appendf(out, "%s_", s->name_space);
    }
    return sqlite3_str_finish(out);
}

int sq_prepare_all(struct jobq_store *s)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        char *text = sq_in_namespace(s, sql_texts[i]);
        if (!text)
            return sq_fault_memory(s);
        int code = sqlite3_prepare_v3(s->db, text, -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i], NULL);
        sqlite3_free(text);
        if (code != SQLITE_OK)
            return sq_fault_text(s, sqlite3_extended_errcode(s->db), "%s: %s", sql_names[i], sqlite3_errmsg(s->db));
    }
    return 0;
}

void sq_finalize_all(struct jobq_store *s)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(s->statements[i]);
        s->statements[i] = NULL;
    }
}

/* ---- running ------------------------------------------------------------------------------------------------- */

static int bind(sqlite3_stmt *statement, int at, const struct value *value)
{
    switch (value->kind) {
    case VALUE_NUMBER:
        return sqlite3_bind_int64(statement, at, value->number);
    case VALUE_BYTES:
        return sqlite3_bind_blob64(statement, at, value->data, value->size, SQLITE_STATIC);
    case VALUE_TEXT:
        return sqlite3_bind_text64(statement, at, value->data, value->size, SQLITE_STATIC, SQLITE_UTF8);
    default:
        return sqlite3_bind_null(statement, at);
    }
}

sqlite3_stmt *sq_start(struct jobq_store *s, enum sql which, const struct value *values, int count)
{
    sqlite3_stmt *statement = s->statements[which];
    for (int i = 0; i < count; i++) {
        int code = bind(statement, i + 1, &values[i]);
        if (code != SQLITE_OK) {
            sq_fault(s, code);
            return NULL;
        }
    }
    return statement;
}

int sq_step(struct jobq_store *s, sqlite3_stmt *statement)
{
    if (!statement)
        return -1;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    if (code == SQLITE_DONE) {
        sqlite3_reset(statement);
        return 0;
    }
    sq_fault(s, code);
    sqlite3_reset(statement);
    return -1;
}

int sq_run(struct jobq_store *s, enum sql which, const struct value *values, int count)
{
    return sq_step(s, sq_start(s, which, values, count)) < 0 ? -1 : 0;
}

int sq_number(struct jobq_store *s, enum sql which, int64_t *out, const struct value *values, int count)
{
    sqlite3_stmt *statement = sq_start(s, which, values, count);
    int found = sq_step(s, statement);
    if (found > 0) {
        found = sqlite3_column_type(statement, 0) != SQLITE_NULL;
        *out = sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
    }
    return found;
}

int sq_exec(struct jobq_store *s, const char *text)
{
    int code = sqlite3_exec(s->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : sq_fault(s, code);
}

struct jobq_bytes sq_column_bytes(sqlite3_stmt *statement, int column)
{
    static const char empty[1];
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return (struct jobq_bytes){ 0 };
    const void *data = sqlite3_column_blob(statement, column);
    return (struct jobq_bytes){ .data = data ? data : empty, .size = (size_t)sqlite3_column_bytes(statement, column) };
}
