/* SPDX-License-Identifier: MIT */
#include "shelf.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shelf {
    sqlite3 *db;
    int history;
};

static const char schema[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "CREATE TABLE IF NOT EXISTS shelf (name TEXT PRIMARY KEY, mappings TEXT) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS doc (n INTEGER PRIMARY KEY, shelf TEXT NOT NULL, id TEXT NOT NULL,"
    " version INTEGER NOT NULL, source TEXT, UNIQUE (shelf, id));"
    "CREATE TABLE IF NOT EXISTS history (seq INTEGER PRIMARY KEY, shelf TEXT, id TEXT, version INTEGER, "
    "deleted INTEGER);"
    "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text);";

struct shelf *shelf_open(const char *file, int history, const char **why)
{
    struct shelf *shelf = calloc(1, sizeof(*shelf));

    *why = "out of memory";
    if (!shelf)
        return NULL;
    shelf->history = history;
    if (sqlite3_open(file, &shelf->db) == SQLITE_OK) {
        sqlite3_busy_timeout(shelf->db, 10000);
        if (sqlite3_exec(shelf->db, schema, NULL, NULL, NULL) == SQLITE_OK)
            return shelf;
    }
    *why = "the file cannot be opened as a database with full text search";
    shelf_close(shelf);
    return NULL;
}

void shelf_close(struct shelf *shelf)
{
    if (shelf)
        sqlite3_close(shelf->db);
    free(shelf);
}

/* ---- statements ------------------------------------------------------------------------------------- */

/* One for each letter of `types`: s text or NULL, i number. */
static sqlite3_stmt *start(struct shelf *shelf, const char *sql, const char *types, ...)
{
    sqlite3_stmt *row = NULL;
    va_list values;

    if (sqlite3_prepare_v2(shelf->db, sql, -1, &row, NULL) != SQLITE_OK)
        return NULL;
    va_start(values, types);
    for (int i = 0; types[i]; i++) {
        if (types[i] == 's')
            sqlite3_bind_text(row, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
        else
            sqlite3_bind_int64(row, i + 1, va_arg(values, int64_t));
    }
    va_end(values);
    return row;
}

/* Steps to the end. 0 or -1. */
static int finish(sqlite3_stmt *row)
{
    int code = row ? sqlite3_step(row) : SQLITE_ERROR;

    sqlite3_finalize(row);
    return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : -1;
}

static int run(struct shelf *shelf, const char *sql)
{
    return sqlite3_exec(shelf->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

int shelf_begin(struct shelf *shelf)
{
    return run(shelf, "BEGIN IMMEDIATE");
}

int shelf_commit(struct shelf *shelf)
{
    return run(shelf, "COMMIT");
}

void shelf_rollback(struct shelf *shelf)
{
    run(shelf, "ROLLBACK");
}

/* ---- what a document has to be ------------------------------------------------------------------------ */

static int is_number(const json_t *value)
{
    char *end;

    if (!json_is_string(value))
        return json_is_number(value) || json_is_null(value);
    strtod(json_string_value(value), &end);
    return end != json_string_value(value) && !*end && !strpbrk(json_string_value(value), "nNiI");
}

static int fits(const char *type, const json_t *value)
{
    static const char *const numbers[] = {"long", "integer", "short", "double", "float"};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        if (strcmp(type, numbers[i]) == 0)
            return is_number(value);
    if (strcmp(type, "boolean") == 0)
        return json_is_boolean(value) || json_is_null(value);
    return 1;
}

/* The field that does not fit, or NULL. Lent by the mappings. */
static const char *misfit(const json_t *mappings, const json_t *source, const char **type)
{
    const char *field;
    json_t *property;

    json_object_foreach(json_object_get(mappings, "properties"), field, property)
    {
        const json_t *value = json_object_get(source, field);
        *type = json_string_value(json_object_get(property, "type"));
        if (value && *type && !fits(*type, value))
            return field;
    }
    return NULL;
}

static json_t *mappings_of(struct shelf *shelf, const char *index)
{
    sqlite3_stmt *row = start(shelf, "SELECT mappings FROM shelf WHERE name = ?1", "s", index);
    json_t *mappings = NULL;

    if (row && sqlite3_step(row) == SQLITE_ROW && sqlite3_column_text(row, 0))
        mappings = json_loads((const char *)sqlite3_column_text(row, 0), 0, NULL);
    sqlite3_finalize(row);
    return mappings;
}

static void refuse(struct shelf_result *out, int status, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void refuse(struct shelf_result *out, int status, const char *type, const char *format, ...)
{
    va_list values;

    *out = (struct shelf_result){.status = status, .type = type};
    va_start(values, format);
    vsnprintf(out->reason, sizeof(out->reason), format, values);
    va_end(values);
}

/* ---- writing ------------------------------------------------------------------------------------------ */

struct present {
    int known, there; /* known: it has a version, perhaps of its deletion */
    int64_t n, version;
};

static int look(struct shelf *shelf, const struct shelf_write *write, struct present *out)
{
    sqlite3_stmt *row =
        start(shelf, "SELECT n, version, source IS NOT NULL FROM doc WHERE shelf = ?1 AND id = ?2", "ss",
              write->index, write->id);
    int code = row ? sqlite3_step(row) : SQLITE_ERROR;

    *out = (struct present){.known = code == SQLITE_ROW};
    if (out->known) {
        out->n = sqlite3_column_int64(row, 0);
        out->version = sqlite3_column_int64(row, 1);
        out->there = sqlite3_column_int(row, 2);
    }
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : -1;
}

/* The words of all texts in it. */
static void add_words(FILE *out, const json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_string(value))
        fprintf(out, "%s\n", json_string_value(value));
    json_object_foreach((json_t *)(uintptr_t)value, name, member) add_words(out, member);
    json_array_foreach(value, i, member) add_words(out, member);
}

static int set_words(struct shelf *shelf, int64_t n, const json_t *source)
{
    char *text = NULL;
    size_t size;
    FILE *out;
    int code = finish(start(shelf, "DELETE FROM words WHERE rowid = ?1", "i", n));

    if (code != 0 || !source)
        return code;
    if (!(out = open_memstream(&text, &size)))
        return -1;
    add_words(out, source);
    fclose(out);
    code = finish(start(shelf, "INSERT INTO words(rowid, text) VALUES (?1, ?2)", "is", n, text));
    free(text);
    return code;
}

static int store(struct shelf *shelf, const struct shelf_write *write, int64_t version)
{
    char *text = write->op == SHELF_DELETE ? NULL : json_dumps(write->source, JSON_COMPACT);
    struct present now;
    int code = write->op != SHELF_DELETE && !text ? -1 : 0;

    if (code == 0)
        code = finish(start(
            shelf,
            "INSERT INTO doc(shelf, id, version, source) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (shelf, id) DO UPDATE SET version = excluded.version, source = excluded.source",
            "ssis", write->index, write->id, version, text));
    if (code == 0)
        code = look(shelf, write, &now);
    if (code == 0)
        code = set_words(shelf, now.n, text ? write->source : NULL);
    if (code == 0 && shelf->history)
        code = finish(start(shelf, "INSERT INTO history(shelf, id, version, deleted) VALUES (?1, ?2, ?3, ?4)",
                            "ssii", write->index, write->id, version, (int64_t)!text));
    free(text);
    return code;
}

/* 0 when the document may be written as it is. */
static int judge(struct shelf *shelf, const struct shelf_write *write, const struct present *now,
                 struct shelf_result *out)
{
    const char *field = NULL, *type = "";
    json_t *mappings;

    if (now->known && write->version && write->version < now->version + !write->or_equal)
        refuse(out, 409, "version_conflict_engine_exception",
               "[%.100s]: version conflict, current version [%lld] is higher or equal to the one provided "
               "[%lld]",
               write->id, (long long)now->version, (long long)write->version);
    else if (write->op == SHELF_CREATE && now->there)
        refuse(out, 409, "version_conflict_engine_exception", "[%.100s]: document already exists", write->id);
    else if (write->op != SHELF_DELETE && !write->source)
        refuse(out, 400, "document_parsing_exception", "failed to parse: the document is no JSON object");
    else if (write->op != SHELF_DELETE) {
        mappings = mappings_of(shelf, write->index);
        field = misfit(mappings, write->source, &type);
        if (field)
            refuse(out, 400, "document_parsing_exception", "failed to parse field [%.80s] of type [%.20s]",
                   field, type);
        json_decref(mappings);
        return field ? -1 : 0;
    } else
        return 0;
    return -1;
}

void shelf_write(struct shelf *shelf, const struct shelf_write *write, struct shelf_result *out)
{
    struct present now;

    if (look(shelf, write, &now) != 0) {
        refuse(out, 500, "exception", "the document cannot be looked up");
        return;
    }
    if (judge(shelf, write, &now, out) != 0)
        return;
    *out = (struct shelf_result){.version = write->version ? write->version : now.version + 1};
    if (shelf_make_index(shelf, write->index, NULL) < 0 || store(shelf, write, out->version) != 0) {
        refuse(out, 500, "exception", "the document cannot be written");
        return;
    }
    if (write->op == SHELF_DELETE) {
        out->status = now.there ? 200 : 404;
        out->result = now.there ? "deleted" : "not_found";
    } else {
        out->status = now.there ? 200 : 201;
        out->result = now.there ? "updated" : "created";
    }
}

int shelf_make_index(struct shelf *shelf, const char *index, const json_t *mappings)
{
    char *text;
    int code;

    if (shelf_has_index(shelf, index))
        return 0;
    text = mappings ? json_dumps(mappings, JSON_COMPACT) : NULL;
    code = finish(start(shelf, "INSERT INTO shelf(name, mappings) VALUES (?1, ?2)", "ss", index, text));
    free(text);
    return code == 0 ? 1 : -1;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static int64_t number(struct shelf *shelf, const char *sql, const char *index)
{
    sqlite3_stmt *row = start(shelf, sql, "s", index);
    int64_t value = row && sqlite3_step(row) == SQLITE_ROW ? sqlite3_column_int64(row, 0) : -1;

    sqlite3_finalize(row);
    return value;
}

int shelf_has_index(struct shelf *shelf, const char *index)
{
    return number(shelf, "SELECT count(*) FROM shelf WHERE name = ?1", index) > 0;
}

int64_t shelf_count(struct shelf *shelf, const char *index)
{
    return number(shelf, "SELECT count(*) FROM doc WHERE shelf = ?1 AND source IS NOT NULL", index);
}

/* id, version, source of the present row. */
static json_t *document(const char *index, sqlite3_stmt *row)
{
    return json_pack("{s:s, s:s, s:I, s:o}", "_index", index, "_id",
                     (const char *)sqlite3_column_text(row, 0), "_version",
                     (json_int_t)sqlite3_column_int64(row, 1), "_source",
                     json_loads((const char *)sqlite3_column_text(row, 2), 0, NULL));
}

json_t *shelf_get(struct shelf *shelf, const char *index, const char *id)
{
    sqlite3_stmt *row = start(
        shelf, "SELECT id, version, source FROM doc WHERE shelf = ?1 AND id = ?2 AND source IS NOT NULL",
        "ss", index, id);
    json_t *found = row && sqlite3_step(row) == SQLITE_ROW ? document(index, row) : NULL;

    if (found)
        json_object_set_new(found, "found", json_true());
    sqlite3_finalize(row);
    return found;
}

/* Each word as a literal one of FTS5, all of them asked for. To be freed. */
static char *query_of(const char *words)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    while (out && *words) {
        size_t length = strcspn(words, " \t\r\n");
        if (length)
            putc('"', out);
        for (size_t i = 0; i < length; i++) {
            if (words[i] == '"')
                putc('"', out);
            putc(words[i], out);
        }
        if (length)
            fputs("\" ", out);
        words += length + !!words[length];
    }
    if (out)
        fclose(out);
    return text;
}

static json_t *collect(const char *index, sqlite3_stmt *row, int64_t total)
{
    json_t *hits = json_array();

    while (row && sqlite3_step(row) == SQLITE_ROW)
        json_array_append_new(hits, document(index, row));
    sqlite3_finalize(row);
    return json_pack("{s:i, s:b, s:{s:{s:I, s:s}, s:o}}", "took", 0, "timed_out", 0, "hits", "total", "value",
                     (json_int_t)total, "relation", "eq", "hits", hits);
}

#define MATCHING "FROM words AS w JOIN doc AS d ON d.n = w.rowid WHERE words MATCH ?2 AND d.shelf = ?1"

json_t *shelf_search(struct shelf *shelf, const char *index, const char *words, int64_t from, int64_t size)
{
    char *query = words ? query_of(words) : NULL;
    json_t *found;

    if (query && *query) {
        sqlite3_stmt *count = start(shelf, "SELECT count(*) " MATCHING, "ss", index, query);
        int64_t total = count && sqlite3_step(count) == SQLITE_ROW ? sqlite3_column_int64(count, 0) : 0;
        sqlite3_finalize(count);
        found = collect(index,
                        start(shelf,
                              "SELECT d.id, d.version, d.source " MATCHING
                              " ORDER BY rank, d.id LIMIT ?3 OFFSET ?4",
                              "ssii", index, query, size, from),
                        total);
    } else {
        found = collect(index,
                        start(shelf,
                              "SELECT id, version, source FROM doc WHERE shelf = ?1 AND source IS NOT NULL"
                              " ORDER BY id LIMIT ?2 OFFSET ?3",
                              "sii", index, size, from),
                        shelf_count(shelf, index));
    }
    free(query);
    return found;
}
