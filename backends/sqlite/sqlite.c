/* SPDX-License-Identifier: MIT */
/* The SQLite store: its table, open and close. Start reading at exchange.c; want.c, change.c and put.c are its parts. */
#include "store.h"

#include <jobq/sqlite.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- open ------------------------------------------------------------------------------------------------------- */

static int read_option(struct jobq_store *s, const struct jobq_uri_option *option, struct jobq_error *err)
{
    if (strcmp(option->name, "synchronous") != 0)
        return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: sqlite: has no option '%.40s'", option->name);
    s->normal = strcmp(option->value, "normal") == 0;
    if (s->normal || strcmp(option->value, "full") == 0)
        return JOBQ_OK;
    return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: synchronous is 'full' or 'normal'");
}

/* Absolute, so that the program may change its folder, and so that no name is special to SQLite. */
static char *absolute(const char *path)
{
    if (path[0] == '/')
        return sqlite3_mprintf("%s", path);
    char *here = getcwd(NULL, 0);
    char *whole = here ? sqlite3_mprintf("%s/%s", here, path) : NULL;
    free(here);
    return whole;
}

static int read_uri(struct jobq_store *s, const char *text, struct jobq_arena *arena, struct jobq_error *err)
{
    struct jobq_uri uri;
    int status = jobq_uri_parse(arena, text, &uri, err);
    if (status != JOBQ_OK)
        return status;
    if (strcmp(uri.scheme, "sqlite") != 0)
        return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: the SQLite store is \"sqlite:FILE\"");
    if (!uri.path[0])
        return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: the name of the file is empty");
    if (strlen(uri.name_space) >= sizeof s->name_space)
        return jobq_error_set(err, JOBQ_INVALID, "namespace", "namespace: at most %zu letters",
                              sizeof s->name_space - 1);
    for (size_t i = 0; i < uri.option_count && status == JOBQ_OK; i++)
        status = read_option(s, &uri.options[i], err);
    if (status != JOBQ_OK)
        return status;
    strcpy(s->name_space, uri.name_space);
    s->path = absolute(uri.path);
    return s->path ? JOBQ_OK : jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
}

/* From here on the name is the one SQLite uses: links in it are resolved, and the log lies beside the file itself. */
static int use_real_name(struct jobq_store *s)
{
    const char *name = sqlite3_db_filename(s->db, "main");
    char *copy = name ? sqlite3_mprintf("%s", name) : NULL;
    if (!copy)
        return sq_fault_memory(s);
    sqlite3_free(s->path);
    s->path = copy;
    return 0;
}

static int prepare_use(struct jobq_store *s)
{
    if (sq_prepare_all(s) != 0)
        return -1;
    sq_gate_begin(s);
    if (sq_clock_start(s) != 0 || sq_clock_fence_floor(s) != 0)
        return -1;
    sq_gate_open(s);
    sq_wake_open(s);
    sq_checkpoint_watch(s);
    return sq_wake_seen(s);
}

/* It is there or not, but for a process that has no descriptor left. */
static int no_boot_id(const struct jobq_store *s, int error, struct jobq_error *err)
{
    if (error == EMFILE || error == ENFILE)
        return jobq_error_set(err, JOBQ_UNREACHABLE, NULL, "sqlite: %s", strerror(error));
    return jobq_error_set(err, JOBQ_UNSUPPORTED, NULL, "sqlite: %s", s->fault.text);
}

static int connect_store(struct jobq_store *s, uint32_t flags, struct jobq_error *err)
{
    int status = sq_file_prepare(s->path, flags, err);
    if (status == JOBQ_OK && sq_clock_boot(s) != 0)
        status = no_boot_id(s, errno, err);
    if (status == JOBQ_OK)
        status = sq_file_connect(s, &s->db, err);
    if (status == JOBQ_OK && use_real_name(s) != 0)
        status = sq_open_status(s, err);
    if (status == JOBQ_OK)
        status = sq_schema_bring_up(s, flags, err);
    if (status == JOBQ_OK && s->version == SCHEMA_VERSION && prepare_use(s) != 0)
        status = sq_open_status(s, err);
    return status;
}

void sq_store_free(struct jobq_store *s)
{
    pthread_mutex_destroy(&s->lock);
    sq_names_clear(&s->queues);
    sq_names_clear(&s->kinds);
    jobq_receipt_free(s->receipt);
    for (size_t i = 0; i < HOLDS; i++)
        free(s->holds[i].rows);
    free(s->ended.items);
    free(s->ended_members.items);
    free(s->lanes_up.items);
    free(s->lanes_down.items);
    sqlite3_free(s->path);
    free(s);
}

static void disconnect(struct jobq_store *s)
{
    if (s->db && s->gate.wal_fd >= 0)
        sq_checkpoint_close(s);
    sq_wake_close(s);
    sq_finalize_all(s);
    sqlite3_close(s->db);
    /* Not before: what SQLite does at its close may wait for others, and says so through it. */
    sq_gate_close(s);
}

int sq_store_create(struct jobq_store **out, int64_t io_timeout_ms, struct jobq_error *err)
{
    if (!sqlite3_threadsafe())
        return jobq_error_set(err, JOBQ_UNSUPPORTED, NULL, "sqlite: this build of SQLite is not for threads");
    struct jobq_store *s = calloc(1, sizeof *s);
    if (!s || pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    }
    s->pid = getpid();
    s->io_timeout_ms = io_timeout_ms > 0 ? io_timeout_ms : 30000;
    s->wake_fd = s->gate.wal_fd = -1;
    s->epoch = 1;
    s->ended_most = BATCH_ENDED_MOST;
    sq_clock_init(&s->clock, NULL);
    *out = s;
    return JOBQ_OK;
}

int sq_open_with(struct jobq_store **out, const struct jobq_store_options *options, const struct clock_source *source,
                 struct jobq_error *err)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_store *s;
    *out = NULL;
    int made = arena ? sq_store_create(&s, options->io_timeout_ms, err)
                     : jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    if (made != JOBQ_OK) {
        jobq_arena_destroy(arena);
        return made;
    }
    s->inspect = options->flags & JOBQ_OPEN_INSPECT;
    sq_clock_init(&s->clock, source);
    int status = read_uri(s, options->uri, arena, err);
    if (status == JOBQ_OK)
        status = connect_store(s, options->flags, err);
    jobq_arena_destroy(arena);
    if (status == JOBQ_OK) {
        *out = s;
        return JOBQ_OK;
    }
    disconnect(s);
    sq_store_free(s);
    return status;
}

static int sqlite_open(struct jobq_store **out, const struct jobq_store_options *options, struct jobq_error *err)
{
    return sq_open_with(out, options, NULL, err);
}

/* ---- close -------------------------------------------------------------------------------------------------------- */

/* In a forked child the connections belong to the parent: to close them would touch the file, so what SQLite holds is
 * left to the end of the process. */
static void sqlite_close(struct jobq_store *s)
{
    if (!s)
        return;
    if (s->pid == getpid() && s->attached)
        sq_detach(s);
    else if (s->pid == getpid())
        disconnect(s);
    else
        sq_leave_descriptors(s);
    sq_store_free(s);
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

static void leave(struct jobq_store *s)
{
    sq_gate_end(s);
    pthread_mutex_unlock(&s->lock);
}

static int sqlite_exchange(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena,
                           struct jobq_error *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sq_exchange_run(s, x, arena, err);
    leave(s);
    return status;
}

static int sqlite_read(struct jobq_store *s, struct jobq_query *query, struct jobq_arena *arena,
                       struct jobq_error *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sq_read_rows(s, query, arena, err);
    leave(s);
    return status;
}

static int sqlite_stats(struct jobq_store *s, const struct jobq_bytes *queue, struct jobq_stats *out,
                        struct jobq_arena *arena, struct jobq_error *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sq_stats_fill(s, queue, out, arena, err);
    leave(s);
    return status;
}

static int sqlite_configure(struct jobq_store *s, const struct jobq_settings *settings, struct jobq_error *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sq_configure_store(s, settings, err);
    leave(s);
    return status;
}

static int sqlite_schedules(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena,
                            struct jobq_error *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sq_schedules_read(s, query, arena, err);
    leave(s);
    return status;
}

static int sqlite_events(struct jobq_store *s, struct jobq_event_query *query, struct jobq_arena *arena,
                         struct jobq_error *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sq_events_read(s, query, arena, err);
    leave(s);
    return status;
}

static int sqlite_dump(struct jobq_store *s, struct jobq_dump *dump, struct jobq_arena *arena, struct jobq_error *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sq_dump(s, dump, arena, err);
    leave(s);
    return status;
}

static int sqlite_load(struct jobq_store *s, struct jobq_item *items, size_t count, struct jobq_error *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sq_load(s, items, count, err);
    leave(s);
    return status;
}

static int sqlite_limits(struct jobq_store *s, struct jobq_limit_query *query, struct jobq_arena *arena,
                         struct jobq_error *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sq_limits_show(s, query, arena, err);
    leave(s);
    return status;
}

static void sqlite_wake(struct jobq_store *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->attached)
        sq_attach_wake(s);
    else
        sq_wake_others(s);
    pthread_mutex_unlock(&s->lock);
}

const struct jobq_backend *jobq_sqlite(void)
{
    static const struct jobq_backend table = {
        .size = sizeof table,
        .name = "sqlite",
        .capabilities = JOBQ_CAP_LOG | JOBQ_CAP_RESULTS | JOBQ_CAP_EDGES
            | JOBQ_CAP_KEY_MODES
            | JOBQ_CAP_SUCCESSOR
            | JOBQ_CAP_GROUPS
            | JOBQ_CAP_SCHEDULES
            | JOBQ_CAP_WAKE
            | JOBQ_CAP_FIGURES
            | JOBQ_CAP_EVENTS
            | JOBQ_CAP_COPY
            | JOBQ_CAP_ATTACH,
        .open = sqlite_open,
        .close = sqlite_close,
        .exchange = sqlite_exchange,
        .read = sqlite_read,
        .stats = sqlite_stats,
        .configure = sqlite_configure,
        .wake_fd = sq_wake_fd_of,
        .wake_drain = sq_wake_drain_of,
        .wake = sqlite_wake,
        .schedules = sqlite_schedules,
        .events = sqlite_events,
        .dump = sqlite_dump,
        .load = sqlite_load,
        .limits = sqlite_limits,
    };
    return &table;
}
