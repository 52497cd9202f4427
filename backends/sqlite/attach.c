/* SPDX-License-Identifier: MIT */
/* The store inside a transaction that the program has open on its own connection. The statements are the
 * same; what is different is who begins and ends, and that an outcome which does not count must stop the
 * commit. */
#include "store.h"

#include <jobq/sqlite.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RACE_MENDED         3051003 /* from this version on several connections may checkpoint */
#define LOG_LARGE_BYTES     (INT64_C(4) << 20)
#define CHECKPOINT_EVERY_US 1000000

/* ---- the bar ------------------------------------------------------------------------------------------- */

/* SQLite refuses COMMIT while a statement that writes is unfinished, and accepts ROLLBACK. So one is left
 * unfinished. The mark that it wrote goes with the transaction: by it one tells later whether that was rolled
 * back. */
void sq_attach_bar(struct jobq_store *s)
{
    if (sqlite3_get_autocommit(s->db) || s->barred)
        return;
    s->barred = sq_step(s, sq_start(s, SQL_BAR, NULL, 0)) > 0;
    if (!s->barred) /* it must not be committed either way */
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

/* Take the bar away if its transaction is gone. -1 when it stands. */
static int lift_bar(struct jobq_store *s)
{
    int64_t mark = 0;
    if (s->barred && !sqlite3_get_autocommit(s->db) && sq_number(s, SQL_BAR_MARK, &mark, NULL, 0) < 0)
        return -1;
    if (mark)
        return sq_fault_text(s, SQLITE_ABORT,
                             "an outcome handed in within this transaction did not count: roll it back");
    if (s->barred)
        sqlite3_reset(s->statements[SQL_BAR]);
    s->barred = false;
    return 0;
}

/* ---- a unit -------------------------------------------------------------------------------------------- */

int sq_attach_begin(struct jobq_store *s)
{
    /* Whatever was learned in the last transaction may have been rolled back. */
    s->epoch++;
    sq_names_clear(&s->queues);
    sq_names_clear(&s->kinds);
    if (lift_bar(s) != 0)
        return -1;
    if (sqlite3_get_autocommit(s->db))
        return sq_fault_text(s, SQLITE_ABORT, "no transaction is open on the program's connection");
    return sq_run(s, SQL_SAVEPOINT, NULL, 0);
}

void sq_attach_undo(struct jobq_store *s)
{
    if (sqlite3_get_autocommit(s->db)) /* SQLite has rolled back everything by itself */
        return;
    sq_run(s, SQL_SAVEPOINT_UNDO, NULL, 0);
    sq_run(s, SQL_SAVEPOINT_RELEASE, NULL, 0);
}

/* ---- after the commit ---------------------------------------------------------------------------------- */

static void checkpoint_now_and_then(struct jobq_store *s)
{
    int64_t now = sq_time_us();
    if (!s->checkpoints || now - s->checked_us < CHECKPOINT_EVERY_US)
        return;
    s->checked_us = now;
    if (sq_checkpoint_wal_bytes(s) >= LOG_LARGE_BYTES)
        sq_checkpoint_make(s);
}

void sq_attach_wake(struct jobq_store *s)
{
    struct fault fault = s->fault;
    if (lift_bar(s) == 0) {
        sq_wake_others(s);
        if (sqlite3_get_autocommit(s->db))
            checkpoint_now_and_then(s);
    }
    s->fault = fault;
}

/* ---- attaching ----------------------------------------------------------------------------------------- */

static int take_name(struct jobq_store *s, const char *name_space, struct jobq_error *err)
{
    struct jobq_arena *arena = jobq_arena_create();
    char *text = sqlite3_mprintf("sqlite:-?namespace=%s", name_space);
    struct jobq_uri uri;
    int status = arena && text ? jobq_uri_parse(arena, text, &uri, err)
                               : jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    if (status == JOBQ_OK && (uri.option_count || strcmp(uri.name_space, name_space) != 0 ||
                              strlen(name_space) >= sizeof s->name_space))
        status =
            jobq_error_set(err, JOBQ_INVALID, "namespace",
                           "namespace: not a name, or longer than %zu letters", sizeof s->name_space - 1);
    if (status == JOBQ_OK)
        strcpy(s->name_space, name_space);
    sqlite3_free(text);
    jobq_arena_destroy(arena);
    return status;
}

static int check_connection(struct jobq_store *s, struct jobq_error *err)
{
    if (!sqlite3_get_autocommit(s->db))
        return jobq_error_set(err, JOBQ_STATE, "db", "db: a transaction is open: attach before it begins");
    const char *name = sqlite3_db_filename(s->db, "main");
    if (!name || !name[0])
        return jobq_error_set(err, JOBQ_UNSUPPORTED, "db",
                              "db: has no file, so that nobody else could work its jobs");
    if (sqlite3_db_readonly(s->db, "main") == 1)
        return jobq_error_set(err, JOBQ_UNREACHABLE, "db", "db: is read-only");
    s->path = sqlite3_mprintf("%s", name);
    s->shm_path = sqlite3_mprintf("%s-shm", name);
    return s->path && s->shm_path ? JOBQ_OK : jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
}

/* The same race as with our own connections (checkpoint.c): the program's must not checkpoint by itself. */
static void take_checkpoints(struct jobq_store *s)
{
    s->checkpoints = sqlite3_libversion_number() < RACE_MENDED;
    if (s->checkpoints)
        sqlite3_wal_autocheckpoint(s->db, 0);
}

static int connect_to(struct jobq_store *s, const char *name_space, struct jobq_error *err)
{
    int status = take_name(s, name_space, err);
    if (status == JOBQ_OK)
        status = check_connection(s, err);
    if (status == JOBQ_OK && sq_clock_boot(s) != 0)
        status = jobq_error_set(err, JOBQ_UNSUPPORTED, NULL, "sqlite: %s", s->fault.text);
    if (status == JOBQ_OK)
        status = sq_schema_bring_up(s, 0, err);
    if (status == JOBQ_OK && (sq_prepare_all(s) != 0 || sq_clock_start(s) != 0))
        status = sq_open_status(s, err);
    if (status == JOBQ_OK)
        take_checkpoints(s);
    return status;
}

/* To let the bar go with the handle would allow the commit. */
void sq_detach(struct jobq_store *s)
{
    bool stands = s->barred && lift_bar(s) != 0;
    sq_finalize_all(s);
    if (stands)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(s->keeper);
    sqlite3_free(s->shm_path);
}

struct wish {
    sqlite3 *db;
    const char *name_space;
};

static int attach(struct jobq_store **out, void *user, int64_t io_timeout_ms, struct jobq_error *err)
{
    const struct wish *wish = user;
    struct jobq_store *s;
    int status = sq_store_create(&s, io_timeout_ms, err);
    if (status != JOBQ_OK)
        return status;
    s->db = wish->db;
    status = connect_to(s, wish->name_space, err);
    if (status != JOBQ_OK) {
        sq_detach(s);
        sq_store_free(s);
        return status;
    }
    s->attached = true;
    *out = s;
    return JOBQ_OK;
}

static int no_connection(struct jobq_store **out, void *user, int64_t io_timeout_ms, struct jobq_error *err)
{
    (void)out;
    (void)user;
    (void)io_timeout_ms;
    return jobq_error_set(err, JOBQ_INVALID, "db", "db: is NULL");
}

int jobq_sqlite_attach(struct jobq **out, struct sqlite3 *db, const char *name_space,
                       const struct jobq_options *options)
{
    struct wish wish = {db, name_space ? name_space : "jobq"};
    return jobq_attach_store(out, jobq_sqlite(), db ? attach : no_connection, &wish, options);
}
