/* SPDX-License-Identifier: MIT */
/* What is counted, and who the store is: one snapshot. */
#include "store.h"

#include <stdio.h>
#include <string.h>

#define LATER_MOST 10000

struct tally {
    const struct jobq_store *s;
    struct jobq_arena *arena;
    struct jobq_stats *out;
};

static int64_t number(const PGresult *result, int row, int column)
{
    return cell_int(cell_of(result, row, column));
}

static const char *text(const struct tally *t, const PGresult *result, int row, int column)
{
    struct jobq_bytes bytes = cell_bytes(cell_of(result, row, column));
    return jobq_arena_text(t->arena, bytes.data ? bytes.data : "", bytes.size);
}

static const char *copy(const struct tally *t, const char *what)
{
    return jobq_arena_text(t->arena, what, strlen(what));
}

/* ---- who it is ------------------------------------------------------------------------------------------------- */

static bool is_text(const PGresult *result, int column, const char *expected)
{
    struct jobq_bytes bytes = cell_bytes(cell_of(result, 0, column));
    return bytes.size == strlen(expected) && memcmp(bytes.data, expected, bytes.size) == 0;
}

static int fill_identity(const struct tally *t)
{
    struct jobq_stats *out = t->out;
    out->address = copy(t, t->s->address.shown);
    out->name_space = copy(t, t->s->address.name_space);
    out->engine = copy(t, "postgres");
    out->durability = "not known";
    memcpy(out->store_id, t->s->store_id, sizeof out->store_id);
    out->schema_version = t->s->version;
    out->schema_known = SCHEMA_VERSION;
    out->log_bytes = -1;
    return out->address && out->name_space && out->engine ? 0 : -1;
}

static int fill_server(const struct tally *t, const PGresult *result)
{
    struct jobq_bytes version = cell_bytes(cell_of(result, 0, 1));
    char engine[160];
    t->out->now_ms = number(result, 0, 0);
    snprintf(engine, sizeof engine, "postgres %.*s%s", (int)(version.size < 60 ? version.size : 60),
             version.data ? (const char *)version.data : "",
             t->s->pooled ? ", behind a pooler: no wake-up, workers ask every few seconds" : "");
    t->out->engine = copy(t, engine);
    if (is_text(result, 3, "off"))
        t->out->durability = "fsync=off: a crash of the server's machine may lose or damage everything";
    else if (is_text(result, 2, "off"))
        t->out->durability = "synchronous_commit=off: a crash of the server may lose the last commits";
    else
        t->out->durability = "synchronous_commit on: on the server's disk before a call returns";
    return t->out->engine ? 0 : -1;
}

/* ---- queues -------------------------------------------------------------------------------------------------------- */

enum queue_column {
    QUEUE_NAME, QUEUE_PAUSED, QUEUE_BLOCKED, QUEUE_DUE, QUEUE_LATER, QUEUE_RUNNING, QUEUE_COMPLETED, QUEUE_DEAD,
    QUEUE_CANCELLED, QUEUE_ENQUEUED_TOTAL, QUEUE_COMPLETED_TOTAL, QUEUE_DEAD_TOTAL, QUEUE_CANCELLED_TOTAL,
    QUEUE_FAILED_TOTAL, QUEUE_COMPLETED_TRIMMED, QUEUE_DEAD_TRIMMED, QUEUE_CANCELLED_TRIMMED, QUEUE_COME, QUEUE_STUCK, QUEUE_OLDEST, QUEUE_FINISHED, QUEUE_WAITED, QUEUE_WAITED_ROWS,
    QUEUE_WAITED_TOTAL, QUEUE_RAN, QUEUE_RAN_ROWS, QUEUE_RAN_TOTAL, QUEUE_MINUTE_COMPLETED, QUEUE_MINUTE_FAILED,
    QUEUE_MINUTE_MS, QUEUE_QUARTER_COMPLETED, QUEUE_QUARTER_FAILED, QUEUE_QUARTER_MS
};

/* Three columns: numbers of buckets, what is in them, and the sum. */
static struct jobq_durations durations_of(const PGresult *r, int row, int column)
{
    struct elements numbers = cell_elements(cell_of(r, row, column));
    struct elements counts = cell_elements(cell_of(r, row, column + 1));
    struct jobq_durations d = { .total_ms = number(r, row, column + 2) };
    struct cell bucket, count;
    while (elements_next(&numbers, &bucket) && elements_next(&counts, &count)) {
        int64_t i = cell_int(bucket);
        if (i < 0 || i >= JOBQ_DURATION_BUCKETS)
            continue;
        d.buckets[i] = (uint64_t)cell_int(count);
        d.count += d.buckets[i];
    }
    return d;
}

/* Three columns: completed, failed, and how long ago the window begins. */
static struct jobq_recent recent_of(const PGresult *r, int row, int column)
{
    return (struct jobq_recent){ .completed = (uint64_t)number(r, row, column),
                                 .failed = (uint64_t)number(r, row, column + 1),
                                 .window_ms = number(r, row, column + 2) };
}

static int fill_queue(const struct tally *t, const PGresult *r, int row, struct jobq_queue_stats *out)
{
    int64_t come = number(r, row, QUEUE_COME), later = number(r, row, QUEUE_LATER);
    *out = (struct jobq_queue_stats){
        .queue = text(t, r, row, QUEUE_NAME), .paused = cell_bool(cell_of(r, row, QUEUE_PAUSED)),
        .enqueued_total = (uint64_t)number(r, row, QUEUE_ENQUEUED_TOTAL),
        .completed_total = (uint64_t)number(r, row, QUEUE_COMPLETED_TOTAL),
        .dead_total = (uint64_t)number(r, row, QUEUE_DEAD_TOTAL),
        .cancelled_total = (uint64_t)number(r, row, QUEUE_CANCELLED_TOTAL),
        .failed_total = (uint64_t)number(r, row, QUEUE_FAILED_TOTAL),
        .completed_trimmed = (uint64_t)number(r, row, QUEUE_COMPLETED_TRIMMED),
        .dead_trimmed = (uint64_t)number(r, row, QUEUE_DEAD_TRIMMED),
        .cancelled_trimmed = (uint64_t)number(r, row, QUEUE_CANCELLED_TRIMMED),
        .stuck = (uint64_t)number(r, row, QUEUE_STUCK), .oldest_ready_at_ms = number(r, row, QUEUE_OLDEST),
        .at_least = come > LATER_MOST, .last_finished_at_ms = number(r, row, QUEUE_FINISHED),
        .waited = durations_of(r, row, QUEUE_WAITED), .ran = durations_of(r, row, QUEUE_RAN),
        .last_minute = recent_of(r, row, QUEUE_MINUTE_COMPLETED),
        .last_quarter = recent_of(r, row, QUEUE_QUARTER_COMPLETED),
    };
    out->present[JOBQ_BLOCKED] = (uint64_t)number(r, row, QUEUE_BLOCKED);
    out->present[JOBQ_READY] = (uint64_t)(number(r, row, QUEUE_DUE) + come);
    out->present[JOBQ_SCHEDULED] = (uint64_t)(later - come);
    out->present[JOBQ_RUNNING] = (uint64_t)number(r, row, QUEUE_RUNNING);
    out->present[JOBQ_COMPLETED] = (uint64_t)number(r, row, QUEUE_COMPLETED);
    out->present[JOBQ_DEAD] = (uint64_t)number(r, row, QUEUE_DEAD);
    out->present[JOBQ_CANCELLED] = (uint64_t)number(r, row, QUEUE_CANCELLED);
    return out->queue ? 0 : -1;
}

static int fill_queues(const struct tally *t, const PGresult *r)
{
    int count = PQntuples(r);
    struct jobq_queue_stats *queues = jobq_arena_alloc(t->arena, (size_t)count * sizeof *queues);
    if (!queues)
        return -1;
    for (int i = 0; i < count; i++)
        if (fill_queue(t, r, i, &queues[i]) != 0)
            return -1;
    t->out->queues = queues;
    t->out->queue_count = (size_t)count;
    return 0;
}

static int fill_kinds(const struct tally *t, const PGresult *r)
{
    int count = PQntuples(r);
    struct jobq_kind_stats *kinds = jobq_arena_alloc(t->arena, (size_t)count * sizeof *kinds);
    if (!kinds)
        return -1;
    for (int i = 0; i < count; i++) {
        kinds[i] = (struct jobq_kind_stats){ .queue = text(t, r, i, 0), .kind = text(t, r, i, 1),
                                             .ready = (uint64_t)number(r, i, 2) };
        if (!kinds[i].queue || !kinds[i].kind)
            return -1;
    }
    t->out->kinds = kinds;
    t->out->kind_count = (size_t)count;
    return 0;
}

/* ---- workers, and other stores ------------------------------------------------------------------------------------------ */

static int fill_workers(const struct tally *t, const PGresult *r)
{
    int count = PQntuples(r);
    struct jobq_worker_stats *workers = jobq_arena_alloc(t->arena, (size_t)count * sizeof *workers);
    if (!workers)
        return -1;
    for (int i = 0; i < count; i++) {
        struct jobq_worker_stats *w = &workers[i];
        *w = (struct jobq_worker_stats){
            .name = text(t, r, i, 0), .host = text(t, r, i, 1), .queues = text(t, r, i, 2), .kinds = text(t, r, i, 3),
            .pid = number(r, i, 4), .started_at_ms = number(r, i, 5), .seen_at_ms = number(r, i, 6),
            .lease_ms = number(r, i, 7), .capacity = (int32_t)number(r, i, 8), .running = (int32_t)number(r, i, 9),
            .stop_asked = cell_bool(cell_of(r, i, 10)),
        };
        if (!w->name || !w->host || !w->queues || !w->kinds)
            return -1;
    }
    t->out->workers = workers;
    t->out->worker_count = (size_t)count;
    return 0;
}

static int fill_namespaces(const struct tally *t, const PGresult *r)
{
    int count = PQntuples(r);
    struct jobq_namespace_stats *spaces = jobq_arena_alloc(t->arena, (size_t)count * sizeof *spaces);
    if (!spaces)
        return -1;
    for (int i = 0; i < count; i++) {
        spaces[i] = (struct jobq_namespace_stats){ .name = text(t, r, i, 0), .workers = (uint64_t)number(r, i, 1) };
        if (!spaces[i].name)
            return -1;
    }
    t->out->namespaces = spaces;
    t->out->namespace_count = (size_t)count;
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------ */

/* Two transactions in one round trip: one has room for a few statements only. */
static int ask(struct jobq_store *s, const struct jobq_bytes *queue, struct tally *t, struct fault *fault)
{
    struct params one = { 0 }, two = { 0 };
    struct transaction both[2] = {
        { .reads = true, .ms = s->io_timeout_ms, .count = 4,
          .calls = { { .text = s->sql[SQL_CLOCK] }, { .text = s->sql[SQL_STATS], .params = &one },
                     { .text = s->sql[SQL_KINDS], .params = &two }, { .text = s->sql[SQL_WORKERS] } } },
        { .reads = true, .ms = s->io_timeout_ms, .count = 1, .calls = { { .text = s->sql[SQL_NAMESPACES] } } },
    };
    pack_bytes(&one, *queue);
    pack_bytes(&two, *queue);
    int result = pq_link_run(&s->link, both, 2);
    if (result != 0)
        *fault = both[0].fault.kind ? both[0].fault : both[1].fault;
    else if (PQntuples(both[0].calls[0].result) != 1 || fill_server(t, both[0].calls[0].result) != 0 ||
             fill_queues(t, both[0].calls[1].result) != 0 || fill_kinds(t, both[0].calls[2].result) != 0 ||
             fill_workers(t, both[0].calls[3].result) != 0 || fill_namespaces(t, both[1].calls[0].result) != 0) {
        pq_fault_set(fault, FAULT_MEMORY, "out of memory");
        result = -1;
    }
    pq_transaction_clear(&both[0]);
    pq_transaction_clear(&both[1]);
    pack_free(&one);
    pack_free(&two);
    return result;
}

int pq_stats_fill(struct jobq_store *s, const struct jobq_bytes *queue, struct jobq_stats *out, struct jobq_arena *arena,
                  struct jobq_error *err)
{
    struct tally t = { .s = s, .arena = arena, .out = out };
    struct fault fault = { 0 };
    out->queues = NULL;
    out->queue_count = out->kind_count = out->worker_count = out->namespace_count = 0;
    pq_store_begin(s);
    if (fill_identity(&t) != 0)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "out of memory");
    if (s->version != SCHEMA_VERSION) /* of another version only who it is can be told */
        return JOBQ_OK;
    if (pq_store_connect(s, &fault) != 0 || ask(s, queue, &t, &fault) != 0)
        return pq_fault_report(s, &fault, err, JOBQ_FAILED);
    return JOBQ_OK;
}
