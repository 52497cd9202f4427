/* SPDX-License-Identifier: MIT */
/* What is counted and set per queue. The differences that an exchange makes are gathered here and written once, at its
 * end: one row per queue, however many jobs moved. */
#include "store.h"

#include <string.h>

struct queue *sq_queue_of(struct turn *t, int64_t id)
{
    struct queue *queue = sq_queue_slot(t->s, id);
    if (!queue || queue->turn == t->s->turns)
        return queue;
    queue->turn = t->s->turns;
    queue->ended = 0;
    queue->figured = queue->claimed = queue->batched = false;
    queue->starts.read = queue->starts.counted = false;
    memset(queue->diff, 0, sizeof queue->diff);
    queue->next_touched = t->touched;
    t->touched = queue;
    return queue;
}

static int read_counts(struct jobq_store *s, int64_t id, struct queue_settings *out)
{
    sqlite3_stmt *row = sq_start(s, SQL_TALLY_GET, VALUES(number(id)));
    int found = sq_step(s, row);
    if (found == 0)
        return sq_fault_text(s, SQLITE_CORRUPT, "queue number %lld does not exist", (long long)id);
    if (found < 0)
        return -1;
    for (int i = 0; i < COUNT_OF_COUNTS; i++)
        out->count[i] = sqlite3_column_int64(row, i);
    sq_figures_unpack(sq_column_bytes(row, COUNT_OF_COUNTS), &out->figures);
    sqlite3_reset(row);
    return 0;
}

static int64_t limit_column(sqlite3_stmt *row, int column)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL ? -1 : sqlite3_column_int64(row, column);
}

static void read_settings(sqlite3_stmt *row, struct queue_settings *out)
{
    int at = 7;
    out->paused = sqlite3_column_int(row, 0) != 0;
    out->grouped = sqlite3_column_int(row, 1) != 0;
    out->depth = limit_column(row, 2);
    out->concurrency = limit_column(row, 3);
    out->group_concurrency = limit_column(row, 4);
    out->rate = limit_column(row, 5);
    out->rate_period_ms = sqlite3_column_int64(row, 6);
    out->keeps = sqlite3_column_int(row, at) != 0;
    for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++) {
        out->keep_count[state] = sqlite3_column_int64(row, ++at);
        out->keep_ms[state] = sqlite3_column_int64(row, at + 3);
    }
    out->keep_ms[JOBQ_KEEP_RESULTS] = sqlite3_column_int64(row, at + 4);
    out->results_at = sqlite3_column_int64(row, at + 5);
    out->results_n = sqlite3_column_int64(row, at + 6);
}

int sq_queue_settings(struct jobq_store *s, int64_t id, struct queue_settings *out)
{
    sqlite3_stmt *row = sq_start(s, SQL_QUEUE_LOAD, VALUES(number(id)));
    int found = sq_step(s, row);
    if (found == 0)
        return sq_fault_text(s, SQLITE_CORRUPT, "queue number %lld does not exist", (long long)id);
    if (found < 0)
        return -1;
    read_settings(row, out);
    sqlite3_reset(row);
    return read_counts(s, id, out);
}

struct queue *sq_queue_loaded(struct turn *t, int64_t id)
{
    struct queue *queue = sq_queue_of(t, id);
    if (!queue || queue->epoch == t->s->epoch)
        return queue;
    if (sq_queue_settings(t->s, id, &queue->now) != 0)
        return NULL;
    queue->epoch = t->s->epoch;
    return queue;
}

int64_t sq_queue_rows(const struct queue *queue, enum queue_count which)
{
    return queue->now.count[which] + queue->diff[which];
}

static bool differs(const struct queue *queue)
{
    static const int64_t none[COUNT_OF_COUNTS];
    return memcmp(queue->diff, none, sizeof none) != 0;
}

static int write_one(struct turn *t, struct queue *queue)
{
    struct value values[2 + COUNT_OF_COUNTS] = { number(queue->id) };
    struct figures_blob figures;
    for (int i = 0; i < COUNT_OF_COUNTS; i++) {
        queue->now.count[i] += queue->diff[i];
        values[i + 1] = number(queue->now.count[i]);
    }
    memset(queue->diff, 0, sizeof queue->diff);
    values[COUNT_OF_COUNTS + 1] = queue->figured ? sq_figures_pack(&queue->now.figures, t->now, &figures) : nothing();
    return sq_run(t->s, SQL_TALLY_SET, values, 2 + COUNT_OF_COUNTS);
}

static int write_starts(struct turn *t, struct queue *queue)
{
    struct jobq_bytes name;
    if (!queue->starts.counted)
        return 0;
    return sq_queue_text(t->s, queue->id, &name) != 0 ? -1 : sq_meter_write(t, GAUGE_QUEUE, name, &queue->starts);
}

int sq_queue_write(struct turn *t)
{
    if (sq_lanes_write(t) != 0)
        return -1;
    for (struct queue *queue = t->touched; queue; queue = queue->next_touched) {
        if (write_starts(t, queue) != 0)
            return -1;
        if (!differs(queue) && !queue->figured)
            continue;
        if (!sq_queue_loaded(t, queue->id) || write_one(t, queue) != 0)
            return -1;
    }
    return 0;
}
