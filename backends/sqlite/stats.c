/* SPDX-License-Identifier: MIT */
/* Statistics. Stored states are counted with every exchange; what depends on the time is counted here, up to a bound. */
#include "store.h"

#include <string.h>

#define LATER_MOST 10000  /* rows whose time has come, counted one by one */
#define KINDS_MOST 100000 /* entries of the index looked at for kinds */
#define KIND_READY_MOST 10000

struct tally {
    struct jobq_store *s;
    struct jobq_arena *arena;
    struct jobq_stats *out;
    int64_t now;
};

static const char *text_column(const struct tally *t, sqlite3_stmt *row, int column)
{
    struct jobq_bytes from = sq_column_bytes(row, column);
    return jobq_arena_text(t->arena, from.data, from.size);
}

/* ---- queues ----------------------------------------------------------------------------------------------------- */

static int ask(const struct tally *t, enum sql which, int64_t where, int64_t bound, int64_t *out)
{
    *out = 0;
    const struct value values[] = { number(where), number(t->now), number(bound) };
    return sq_number(t->s, which, out, values, bound ? 3 : 2) < 0 ? -1 : 0;
}

/* Rows of batches stand before those that wait, and may be many more: who counts what waits begins behind them. */
struct spot {
    int64_t place, n;
};

static int find_first(const struct tally *t, int64_t queue, struct spot *out)
{
    int found = sq_list_first(t->s, list_of(queue, LIST_DUE), &out->place, &out->n);
    if (found == 0)
        *out = (struct spot){ INT64_MAX, INT64_MAX };
    return found < 0 ? -1 : 0;
}

static int find_oldest(const struct tally *t, int64_t queue, const struct spot *first, int64_t *out)
{
    *out = 0;
    return sq_number(t->s, SQL_STATS_OLDEST, out,
                     VALUES(number(list_of(queue, LIST_DUE)), number(t->now), number(LATER_MOST), number(first->place),
                            number(first->n))) < 0 ? -1 : 0;
}

static int split_by_time(const struct tally *t, int64_t id, const struct queue_settings *own, const struct spot *first,
                         struct jobq_queue_stats *out)
{
    int64_t come = 0, stuck, oldest;
    if (own->count[COUNT_LATER] > 0 && ask(t, SQL_STATS_COME, list_of(id, LIST_LATER), LATER_MOST + 1, &come) != 0)
        return -1;
    if (ask(t, SQL_STATS_STUCK, id, 0, &stuck) != 0 || find_oldest(t, id, first, &oldest) != 0)
        return -1;
    out->at_least = come > LATER_MOST;
    out->present[JOBQ_READY] = (uint64_t)(own->count[COUNT_DUE] + come);
    out->present[JOBQ_SCHEDULED] = (uint64_t)(own->count[COUNT_LATER] - come);
    out->stuck = (uint64_t)stuck;
    out->oldest_ready_at_ms = oldest;
    return 0;
}

static int fill_queue(const struct tally *t, int64_t id, const char *name, const struct spot *first,
                      struct jobq_queue_stats *out)
{
    struct queue_settings own;
    if (sq_queue_settings(t->s, id, &own) != 0)
        return -1;
    *out = (struct jobq_queue_stats){
        .queue = name, .enqueued_total = (uint64_t)own.count[COUNT_ENQUEUED_TOTAL],
        .completed_total = (uint64_t)own.count[COUNT_COMPLETED_TOTAL],
        .dead_total = (uint64_t)own.count[COUNT_DEAD_TOTAL],
        .cancelled_total = (uint64_t)own.count[COUNT_CANCELLED_TOTAL],
        .failed_total = (uint64_t)own.count[COUNT_FAILED_TOTAL], .paused = own.paused,
        .completed_trimmed = (uint64_t)own.count[COUNT_COMPLETED_TRIMMED],
        .dead_trimmed = (uint64_t)own.count[COUNT_DEAD_TRIMMED],
        .cancelled_trimmed = (uint64_t)own.count[COUNT_CANCELLED_TRIMMED],
    };
    out->present[JOBQ_BLOCKED] = (uint64_t)own.count[COUNT_BLOCKED];
    out->present[JOBQ_RUNNING] = (uint64_t)own.count[COUNT_RUNNING];
    out->present[JOBQ_COMPLETED] = (uint64_t)own.count[COUNT_COMPLETED];
    out->present[JOBQ_DEAD] = (uint64_t)own.count[COUNT_DEAD];
    out->present[JOBQ_CANCELLED] = (uint64_t)own.count[COUNT_CANCELLED];
    sq_figures_view(&own.figures, t->now, out);
    return split_by_time(t, id, &own, first, out);
}

static int fill_kinds(struct tally *t, int64_t id, const char *queue, const struct spot *first, size_t *room)
{
    struct jobq_kind_stats *kinds = (struct jobq_kind_stats *)t->out->kinds;
    sqlite3_stmt *row = sq_start(t->s, SQL_STATS_KINDS,
                                 VALUES(number(list_of(id, LIST_DUE)), number(t->now), number(KINDS_MOST),
                                        number(first->place), number(first->n)));
    int more;
    while ((more = sq_step(t->s, row)) > 0) {
        kinds = jobq_arena_grow(t->arena, kinds, t->out->kind_count, room, sizeof *kinds);
        int64_t ready = sqlite3_column_int64(row, 1);
        const char *kind = text_column(t, row, 0);
        if (!kinds || !kind) {
            sqlite3_reset(row);
            return sq_fault_memory(t->s);
        }
        kinds[t->out->kind_count++] = (struct jobq_kind_stats){
            .queue = queue, .kind = kind, .ready = (uint64_t)(ready < KIND_READY_MOST ? ready : KIND_READY_MOST) };
        t->out->kinds = kinds;
    }
    return more;
}

/* Names first: the statements that count cannot run inside their own list. */
static int fill_queues(struct tally *t, const struct jobq_bytes *only)
{
    struct jobq_queue_stats *queues = NULL;
    size_t room = 0, kinds_room = 0, count = 0;
    sqlite3_stmt *row = sq_start(t->s, SQL_STATS_QUEUES, VALUES(bytes(*only)));
    int more;
    while ((more = sq_step(t->s, row)) > 0) {
        const char *name = text_column(t, row, 1);
        queues = jobq_arena_grow(t->arena, queues, count, &room, sizeof *queues);
        int64_t id = sqlite3_column_int64(row, 0);
        struct spot first;
        int result = queues && name ? find_first(t, id, &first) : sq_fault_memory(t->s);
        if (result == 0)
            result = fill_queue(t, id, name, &first, &queues[count]);
        if (result == 0)
            result = fill_kinds(t, id, name, &first, &kinds_room);
        if (result != 0) {
            sqlite3_reset(row);
            return -1;
        }
        count++;
    }
    t->out->queues = queues;
    t->out->queue_count = count;
    return more;
}

/* ---- workers ------------------------------------------------------------------------------------------------------ */

static int fill_worker(const struct tally *t, sqlite3_stmt *row, struct jobq_worker_stats *out)
{
    *out = (struct jobq_worker_stats){
        .name = text_column(t, row, 0), .host = text_column(t, row, 1), .queues = text_column(t, row, 2),
        .kinds = text_column(t, row, 3), .pid = sqlite3_column_int64(row, 4),
        .started_at_ms = sqlite3_column_int64(row, 5), .seen_at_ms = sqlite3_column_int64(row, 6),
        .lease_ms = sqlite3_column_int64(row, 7), .capacity = sqlite3_column_int(row, 8),
        .running = sqlite3_column_int(row, 9), .stop_asked = sqlite3_column_int(row, 10),
    };
    return out->name && out->host && out->queues && out->kinds ? 0 : sq_fault_memory(t->s);
}

static int fill_workers(struct tally *t)
{
    struct jobq_worker_stats *workers = NULL;
    size_t room = 0;
    sqlite3_stmt *row = sq_start(t->s, SQL_STATS_WORKERS, VALUES(number(t->now)));
    int more;
    while ((more = sq_step(t->s, row)) > 0) {
        workers = jobq_arena_grow(t->arena, workers, t->out->worker_count, &room, sizeof *workers);
        if (!workers || fill_worker(t, row, &workers[t->out->worker_count]) != 0) {
            sqlite3_reset(row);
            return sq_fault_memory(t->s);
        }
        t->out->worker_count++;
    }
    t->out->workers = workers;
    return more;
}

/* ---- other namespaces of the file ------------------------------------------------------------------------------------ */

/* Its live workers by its own clock; 0 too when its tables are not what they should be. */
static uint64_t workers_of(const struct tally *t, const char *name_space)
{
    sqlite3_stmt *row = NULL;
    uint64_t workers = 0;
    char *text = sqlite3_mprintf("SELECT count(*) FROM \"%w_worker\" AS w, \"%w_meta\" AS m"
                                 " WHERE m.one = 1 AND (m.anchor + ?1 + m.shift - w.seen_at) / 10 < w.lease",
                                 name_space, name_space);
    if (text && sqlite3_prepare_v2(t->s->db, text, -1, &row, NULL) == SQLITE_OK) {
        sqlite3_bind_int64(row, 1, t->s->clock.source.monotonic_ms(t->s->clock.source.user));
        if (sqlite3_step(row) == SQLITE_ROW)
            workers = (uint64_t)sqlite3_column_int64(row, 0);
    }
    sqlite3_finalize(row);
    sqlite3_free(text);
    return workers;
}

static int fill_namespaces(struct tally *t)
{
    struct jobq_namespace_stats *spaces = NULL;
    size_t room = 0;
    struct value own = { .kind = VALUE_TEXT, .data = t->s->name_space, .size = strlen(t->s->name_space) };
    sqlite3_stmt *row = sq_start(t->s, SQL_STATS_NAMESPACES, &own, 1);
    int more;
    while ((more = sq_step(t->s, row)) > 0) {
        const char *name = text_column(t, row, 0);
        spaces = jobq_arena_grow(t->arena, spaces, t->out->namespace_count, &room, sizeof *spaces);
        if (!spaces || !name) {
            sqlite3_reset(row);
            return sq_fault_memory(t->s);
        }
        spaces[t->out->namespace_count++] =
            (struct jobq_namespace_stats){ .name = name, .workers = workers_of(t, name) };
    }
    t->out->namespaces = spaces;
    return more;
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

static int fill_identity(const struct tally *t)
{
    struct jobq_stats *out = t->out;
    const struct jobq_store *s = t->s;
    char *address = sqlite3_mprintf("sqlite:%s", s->path), *engine = sqlite3_mprintf("sqlite %s", sqlite3_libversion());
    out->engine = engine ? jobq_arena_text(t->arena, engine, strlen(engine)) : NULL;
    out->address = address ? jobq_arena_text(t->arena, address, strlen(address)) : NULL;
    out->name_space = jobq_arena_text(t->arena, s->name_space, strlen(s->name_space));
    sqlite3_free(address);
    sqlite3_free(engine);
    out->durability = s->normal ? "write-ahead log, synchronous=NORMAL: survives the end of any process; the last commits may "
                                  "be lost with the power"
                                : "write-ahead log, synchronous=FULL: on disk before a call returns";
    memcpy(out->store_id, s->store_id, sizeof out->store_id);
    out->schema_version = s->version;
    out->schema_known = SCHEMA_VERSION;
    out->log_bytes = sq_checkpoint_wal_bytes(s);
    return out->engine && out->address && out->name_space ? 0 : sq_fault_memory(t->s);
}

static int fill_counts(struct tally *t, const struct jobq_bytes *queue)
{
    if (sq_clock_read(t->s, &t->now) != 0)
        return -1;
    t->out->now_ms = t->now;
    return fill_queues(t, queue) != 0 || fill_workers(t) != 0 || fill_namespaces(t) != 0 ? -1 : 0;
}

int sq_stats_fill(struct jobq_store *s, const struct jobq_bytes *queue, struct jobq_stats *out, struct jobq_arena *arena,
                  struct jobq_error *err)
{
    struct tally t = { .s = s, .arena = arena, .out = out };
    bool unknown;
    out->kinds = NULL;
    out->kind_count = out->worker_count = out->namespace_count = out->queue_count = 0;
    if (fill_identity(&t) != 0)
        return sq_fault_report(s, err, JOBQ_FAILED);
    if (s->version != SCHEMA_VERSION) /* of another version only who it is can be told */
        return JOBQ_OK;
    if (sq_tx_begin_read(s) != 0)
        return sq_fault_report(s, err, JOBQ_FAILED);
    if (fill_counts(&t, queue) != 0) {
        sq_tx_rollback(s);
        return sq_fault_report(s, err, JOBQ_FAILED);
    }
    sq_tx_commit(s, &unknown);
    return JOBQ_OK;
}
