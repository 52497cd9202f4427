/* SPDX-License-Identifier: MIT */
/* The tables: made, brought up, and compared with what they should be. What they should be is not written down a second
 * time: the same steps are run in a database in memory. */
#define STEP_TEXTS
#include "store.h"
#include "steps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

_Static_assert(STEP_COUNT == SCHEMA_VERSION, "one step for each version");

static int run_in_namespace(const struct jobq_store *s, sqlite3 *db, const char *text)
{
    char *own = sq_in_namespace(s, text);
    int code = own ? sqlite3_exec(db, own, NULL, NULL, NULL) : SQLITE_NOMEM;
    sqlite3_free(own);
    return code;
}

static sqlite3_stmt *prepare(struct jobq_store *s, sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement = NULL;
    char *own = sq_in_namespace(s, text);
    int code = own ? sqlite3_prepare_v2(db, own, -1, &statement, NULL) : SQLITE_NOMEM;
    sqlite3_free(own);
    if (code != SQLITE_OK)
        sq_fault_text(s, code, "%s", sqlite3_errmsg(db));
    return statement;
}

/* ---- what is there --------------------------------------------------------------------------------------------- */

struct object {
    char *type, *name, *table, *sql;
    bool seen;
};

struct objects {
    struct object items[64];
    size_t count;
};

static void free_objects(struct objects *objects)
{
    for (size_t i = 0; i < objects->count; i++) {
        struct object *o = &objects->items[i];
        sqlite3_free(o->type);
        sqlite3_free(o->name);
        sqlite3_free(o->table);
        sqlite3_free(o->sql);
    }
}

static char *copy_text(sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    return text ? sqlite3_mprintf("%s", text) : NULL;
}

static int list_expected(struct jobq_store *s, sqlite3 *db, struct objects *out)
{
    sqlite3_stmt *row = prepare(s, db, "SELECT type, name, tbl_name, sql FROM sqlite_schema");
    int code = row ? SQLITE_ROW : SQLITE_ERROR;
    out->count = 0;
    while (row && out->count < sizeof out->items / sizeof *out->items && (code = sqlite3_step(row)) == SQLITE_ROW) {
        struct object *o = &out->items[out->count++];
        *o = (struct object){ .type = copy_text(row, 0), .name = copy_text(row, 1), .table = copy_text(row, 2),
                              .sql = copy_text(row, 3) };
        if (!o->type || !o->name || !o->table || (!o->sql && sqlite3_column_type(row, 3) != SQLITE_NULL))
            code = SQLITE_NOMEM;
        if (code == SQLITE_NOMEM)
            break;
    }
    sqlite3_finalize(row);
    if (row && code != SQLITE_DONE && code != SQLITE_ROW)
        return sq_fault_text(s, code, "%s", sqlite3_errstr(code));
    return row ? 0 : -1;
}

/* What the tables of this version look like. */
static int expect(struct jobq_store *s, struct objects *out)
{
    sqlite3 *db = NULL;
    out->count = 0;
    int code = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY, NULL);
    for (size_t i = 0; i < STEP_COUNT && code == SQLITE_OK; i++)
        code = run_in_namespace(s, db, step_texts[i]);
    int result = code == SQLITE_OK ? list_expected(s, db, out) : sq_fault_text(s, code, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    return result;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool in_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '$' || c & 0x80;
}

/* As a whole word: the tables of one namespace may begin with a name of another's. */
static bool mentions(const char *text, const struct objects *expected)
{
    for (size_t i = 0; text && i < expected->count; i++) {
        size_t length = strlen(expected->items[i].name);
        if (strcmp(expected->items[i].type, "table") != 0)
            continue;
        for (const char *c = text; *c; c++)
            if (sqlite3_strnicmp(c, expected->items[i].name, (int)length) == 0 && !in_word(c[length]) &&
                (c == text || !in_word(c[-1])))
                return true;
    }
    return false;
}

enum kinship { STRANGER, EXPECTED, INTRUDER };

/* A name or a table of ours, in any case of letters, must be exactly what we made. Views that read our tables would stand
 * in the way of a later schema. */
static enum kinship judge(struct objects *expected, const char *type, const char *name, const char *table,
                          const char *sql)
{
    bool ours = false;
    for (size_t i = 0; i < expected->count; i++) {
        struct object *o = &expected->items[i];
        ours |= sqlite3_stricmp(o->name, name) == 0 || sqlite3_stricmp(o->table, table) == 0;
        if (!same_text(o->name, name) || !same_text(o->type, type) || !same_text(o->table, table) ||
            !same_text(o->sql, sql))
            continue;
        o->seen = true;
        return EXPECTED;
    }
    if (!ours && strcmp(type, "view") == 0)
        ours = mentions(sql, expected);
    return ours ? INTRUDER : STRANGER;
}

static int foreign(struct jobq_error *err, const char *type, const char *name)
{
    return jobq_error_set(err, JOBQ_FOREIGN, "uri", "uri: %.20s '%.100s' in the file is not what this library made there", type,
                          name);
}

struct finding {
    size_t seen;    /* expected ones that are there */
    bool intruder;
    char type[24], name[128];
};

/* NULL stays NULL, but it is also what SQLite gives when it has no memory for a text. */
static int read_texts(sqlite3_stmt *row, const char *text[4])
{
    for (int i = 0; i < 4; i++) {
        text[i] = (const char *)sqlite3_column_text(row, i);
        if (!text[i] && sqlite3_column_type(row, i) != SQLITE_NULL)
            return -1;
    }
    return 0;
}

static int look(struct jobq_store *s, struct objects *expected, struct finding *out)
{
    sqlite3_stmt *row = prepare(s, s->db, "SELECT type, name, tbl_name, sql FROM main.sqlite_schema");
    int code = SQLITE_ERROR;
    *out = (struct finding){ 0 };
    while (row && (code = sqlite3_step(row)) == SQLITE_ROW) {
        const char *text[4];
        if (read_texts(row, text) != 0) {
            code = SQLITE_NOMEM;
            break;
        }
        enum kinship kin = judge(expected, text[0], text[1], text[2], text[3]);
        out->seen += kin == EXPECTED;
        if (kin != INTRUDER || out->intruder)
            continue;
        out->intruder = true;
        sqlite3_snprintf(sizeof out->type, out->type, "%s", text[0]);
        sqlite3_snprintf(sizeof out->name, out->name, "%s", text[1]);
    }
    if (row && code != SQLITE_DONE)
        sq_fault_text(s, code, "%s", sqlite3_errmsg(s->db));
    sqlite3_finalize(row);
    return code == SQLITE_DONE ? 0 : -1;
}

/* ---- version ------------------------------------------------------------------------------------------------------ */

/* 0 in *version: there is no table of versions. */
static int read_version(struct jobq_store *s, int *version)
{
    char *name = sq_in_namespace(s, "[meta");
    *version = 0;
    if (!name)
        return sq_fault_memory(s);
    int there = sqlite3_table_column_metadata(s->db, "main", name + 1, NULL, NULL, NULL, NULL, NULL, NULL);
    sqlite3_free(name);
    if (there != SQLITE_OK)
        return there == SQLITE_ERROR ? 0 : sq_fault(s, there);
    sqlite3_stmt *row = prepare(s, s->db, "SELECT version, store_id FROM [meta] WHERE one = 1");
    if (!row)
        return (s->fault.code & 0xff) == SQLITE_ERROR ? (*version = -1, 0) : -1;
    int code = sqlite3_step(row);
    *version = code == SQLITE_ROW ? sqlite3_column_int(row, 0) : -1;
    if (code == SQLITE_ROW && sqlite3_column_bytes(row, 1) == sizeof s->store_id)
        memcpy(s->store_id, sqlite3_column_blob(row, 1), sizeof s->store_id);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        sq_fault_text(s, code, "%s", sqlite3_errmsg(s->db));
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : -1;
}

/* ---- making -------------------------------------------------------------------------------------------------------- */

static int run_steps(struct jobq_store *s, int from)
{
    for (int i = from; i < STEP_COUNT; i++) {
        int code = run_in_namespace(s, s->db, step_texts[i]);
        if (code != SQLITE_OK)
            return sq_fault(s, code);
    }
    return 0;
}

static int write_identity(struct jobq_store *s)
{
    sqlite3_stmt *row = prepare(s, s->db,
                                "INSERT INTO [meta](one, version, store_id, boot, anchor, high, shift)"
                                " VALUES (1, 0, ?1, ?2, ?3, ?4, 0)");
    if (!row)
        return -1;
    int64_t anchor = sq_clock_anchor_for(s, 0);
    sqlite3_bind_blob(row, 1, s->store_id, sizeof s->store_id, SQLITE_STATIC);
    sqlite3_bind_text(row, 2, s->clock.boot, -1, SQLITE_STATIC);
    sqlite3_bind_int64(row, 3, anchor);
    sqlite3_bind_int64(row, 4, anchor + s->clock.source.monotonic_ms(s->clock.source.user));
    int code = sqlite3_step(row);
    sqlite3_finalize(row);
    return code == SQLITE_DONE ? 0 : sq_fault(s, code);
}

static int bring_up(struct jobq_store *s, int version)
{
    if (run_steps(s, version) != 0)
        return -1;
    if (version == 0) {
        if (getrandom(s->store_id, sizeof s->store_id, 0) != (ssize_t)sizeof s->store_id)
            return sq_fault_text(s, SQLITE_IOERR, "no random bytes from the system");
        if (write_identity(s) != 0)
            return -1;
    }
    sqlite3_stmt *row = prepare(s, s->db, "UPDATE [meta] SET version = ?1 WHERE one = 1");
    if (!row)
        return -1;
    sqlite3_bind_int(row, 1, SCHEMA_VERSION);
    int code = sqlite3_step(row);
    sqlite3_finalize(row);
    return code == SQLITE_DONE ? 0 : sq_fault(s, code);
}

/* ---- judging --------------------------------------------------------------------------------------------------------- */

/* JOBQ_OK with s->version (0: to be made), or why the file is refused. */
static int inspect(struct jobq_store *s, struct objects *expected, struct jobq_error *err)
{
    struct finding found;
    for (size_t i = 0; i < expected->count; i++)
        expected->items[i].seen = false;
    if (look(s, expected, &found) != 0 || read_version(s, &s->version) != 0)
        return sq_open_status(s, err);
    if (s->version > SCHEMA_VERSION)
        return s->inspect ? JOBQ_OK
                          : jobq_error_set(err, JOBQ_NEWER, "uri",
                                           "uri: the store has version %d of the schema, this library knows %d",
                                           s->version, SCHEMA_VERSION);
    if (found.intruder && s->version > 0 && s->version < SCHEMA_VERSION)
        return JOBQ_OK; /* an older shape, judged when it has been brought up */
    if (found.intruder)
        return foreign(err, found.type, found.name);
    if (s->version < 0 || (s->version == 0 && found.seen) ||
        (s->version == SCHEMA_VERSION && found.seen != expected->count))
        return jobq_error_set(err, JOBQ_FOREIGN, "uri", "uri: tables of namespace '%s' are missing or not of our making",
                              s->name_space);
    return JOBQ_OK;
}

static int exec_status(struct jobq_store *s, const char *text, struct jobq_error *err)
{
    sq_gate_begin(s);
    return sq_exec(s, text) == 0 ? JOBQ_OK : sq_open_status(s, err);
}

static int make_tables(struct jobq_store *s, struct objects *expected, struct jobq_error *err)
{
    int status = exec_status(s, "BEGIN IMMEDIATE", err);
    if (status != JOBQ_OK)
        return status;
    status = inspect(s, expected, err); /* somebody else may have been faster */
    if (status == JOBQ_OK && s->version < SCHEMA_VERSION && bring_up(s, s->version) != 0)
        status = sq_open_status(s, err);
    if (status == JOBQ_OK)
        status = inspect(s, expected, err);
    if (status == JOBQ_OK)
        status = exec_status(s, "COMMIT", err);
    if (status != JOBQ_OK && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* The mode is kept in the file. Several who open a new one at once get in each other's way, and SQLite does not wait then. */
static int use_log(struct jobq_store *s, struct jobq_error *err)
{
    int64_t deadline = sq_time_us() + s->io_timeout_ms * 1000;
    for (int code = SQLITE_BUSY; code == SQLITE_BUSY;) {
        sqlite3_stmt *row = prepare(s, s->db, "PRAGMA main.journal_mode = WAL");
        sq_gate_begin(s);
        code = row ? sqlite3_step(row) : SQLITE_ERROR;
        bool on = code == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(row, 0), "wal") == 0;
        code &= 0xff;
        if (code != SQLITE_ROW)
            sq_fault(s, code);
        sqlite3_finalize(row);
        if (on)
            return JOBQ_OK;
        if (code == SQLITE_ROW)
            return jobq_error_set(err, JOBQ_UNSUPPORTED, "uri", "uri: the file system cannot hold a write-ahead log");
        if (code == SQLITE_BUSY && sq_time_us() < deadline)
            sqlite3_sleep(2);
        else if (code == SQLITE_BUSY)
            break;
    }
    return sq_open_status(s, err);
}

int sq_schema_bring_up(struct jobq_store *s, uint32_t flags, struct jobq_error *err)
{
    struct objects expected;
    if (expect(s, &expected) != 0) {
        free_objects(&expected);
        return sq_open_status(s, err);
    }
    sq_gate_begin(s);
    int status = inspect(s, &expected, err);
    if (status == JOBQ_OK && s->version == 0 && flags & (JOBQ_OPEN_NO_CREATE | JOBQ_OPEN_INSPECT))
        status = jobq_error_set(err, JOBQ_UNREACHABLE, "uri", "uri: the file has no namespace '%s'", s->name_space);
    if (status == JOBQ_OK && !s->inspect)
        status = use_log(s, err);
    if (status == JOBQ_OK && !s->inspect && s->version < SCHEMA_VERSION)
        status = make_tables(s, &expected, err);
    free_objects(&expected);
    return status;
}
