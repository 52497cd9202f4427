/* SPDX-License-Identifier: MIT */
/* Reading rows by their ids or by a filter. */
#include "store.h"

#include <string.h>

struct reading {
    struct jobq_store *s;
    struct jobq_query *query;
    struct jobq_arena *arena;
    struct jobq_row *rows;
    size_t count, room, bytes;
    bool full;
};

static int make_room(struct reading *r)
{
    struct jobq_row *rows = jobq_arena_grow(r->arena, r->rows, r->count, &r->room, sizeof *rows);
    if (!rows)
        return sq_fault_memory(r->s);
    r->rows = rows;
    return 0;
}

static size_t size_given(const struct jobq_row *row)
{
    return (row->payload.data ? row->payload.size : 0) + row->result.size;
}

/* 1 given, 0 there is no room or no such row, -1. */
static int give(struct reading *r, int64_t n)
{
    if (make_room(r) != 0)
        return -1;
    struct jobq_row *row = &r->rows[r->count];
    int found = sq_view_row(r->s, r->arena, n, r->query->flags, row, NULL);
    if (found <= 0)
        return found;
    r->bytes += size_given(row);
    r->full = r->count && r->query->bytes && r->bytes > r->query->bytes;
    r->count += !r->full;
    return !r->full;
}

static int read_ids(struct reading *r)
{
    for (size_t i = 0; i < r->query->id_count && !r->full; i++) {
        int64_t n;
        int found = sq_number(r->s, SQL_JOB_N, &n, VALUES(id_value(&r->query->ids[i])));
        if (found < 0 || (found && give(r, n) < 0))
            return -1;
    }
    return 0;
}

/* ---- by filter ------------------------------------------------------------------------------------------------ */

struct filter {
    int64_t queue, kind; /* 0: all */
    bool none;           /* a name that does not exist: no row */
};

static int find_names(struct reading *r, struct filter *out)
{
    const struct jobq_query *q = r->query;
    int queue = 1, kind = 1;
    *out = (struct filter){ 0 };
    if (q->queue.data)
        queue = sq_queue_find(r->s, q->queue, &out->queue);
    if (q->kind.data)
        kind = sq_kind_find(r->s, q->kind, &out->kind);
    out->none = queue == 0 || kind == 0;
    return queue < 0 || kind < 0 ? -1 : 0;
}

/* Which of the ways to the rows is the shortest. Ended rows and running ones have an index of their own, and are few
 * beside a backlog of waiting ones; they are put in order of their ids by SQLite. */
static enum sql way_to(const struct jobq_query *q, const struct filter *filter)
{
    const uint32_t ended = 1u << JOBQ_COMPLETED | 1u << JOBQ_DEAD | 1u << JOBQ_CANCELLED;
    if (q->states == 1u << JOBQ_RUNNING)
        return SQL_READ_RUNNING;
    if (q->states && !(q->states & ~ended) && filter->queue)
        return SQL_READ_ENDED;
    return SQL_READ_ALL;
}

/* Which stored states can be shown as one of those asked for. */
static int64_t stored_states(uint32_t shown)
{
    const uint32_t stored[JOBQ_STATE_COUNT] = {
        [JOBQ_BLOCKED] = JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED),     [JOBQ_SCHEDULED] = JOBQ_ROW_BIT(JOBQ_ROW_WAITING),
        [JOBQ_READY] = JOBQ_ROW_BIT(JOBQ_ROW_WAITING),       [JOBQ_RUNNING] = JOBQ_ROW_BIT(JOBQ_ROW_RUNNING),
        [JOBQ_COMPLETED] = JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED), [JOBQ_DEAD] = JOBQ_ROW_BIT(JOBQ_ROW_DEAD),
        [JOBQ_CANCELLED] = JOBQ_ROW_BIT(JOBQ_ROW_CANCELLED),
    };
    uint32_t states = 0;
    for (int i = 0; i < JOBQ_STATE_COUNT; i++)
        if (!shown || shown & 1u << i)
            states |= stored[i];
    return states;
}

static sqlite3_stmt *start_filter(struct reading *r, const struct filter *f)
{
    const struct jobq_query *q = r->query;
    bool both = !q->states || (q->states & 1u << JOBQ_READY && q->states & 1u << JOBQ_SCHEDULED);
    int64_t waiting = both ? 0 : q->states & 1u << JOBQ_READY ? 1 : 2;
    return sq_start(r->s, way_to(q, f),
                    VALUES(id_value(&q->after), instant(f->queue), instant(f->kind), bytes(q->group),
                           number(stored_states(q->states)), number(waiting), number(q->now_ms), instant(q->reason),
                           q->older_ms > 0 ? number(jobq_add_ms(q->now_ms, -q->older_ms)) : nothing()));
}

static int read_filter(struct reading *r)
{
    struct filter filter;
    if (find_names(r, &filter) != 0)
        return -1;
    if (filter.none || !r->query->limit)
        return 0;
    sqlite3_stmt *row = start_filter(r, &filter);
    int more;
    while ((more = sq_step(r->s, row)) > 0) {
        int given = give(r, sqlite3_column_int64(row, 0));
        if (given > 0 && r->count < r->query->limit)
            continue;
        sqlite3_reset(row);
        return given < 0 ? -1 : 0;
    }
    return more;
}

static int read_in_snapshot(struct reading *r)
{
    if (sq_clock_read(r->s, &r->query->now_ms) != 0)
        return -1;
    return r->query->id_count ? read_ids(r) : read_filter(r);
}

int sq_read_rows(struct jobq_store *s, struct jobq_query *query, struct jobq_arena *arena, struct jobq_error *err)
{
    struct reading r = { .s = s, .query = query, .arena = arena };
    bool unknown;
    query->rows = NULL;
    query->row_count = 0;
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "sqlite: the store has version %d of the schema, this library reads %d",
                              s->version, SCHEMA_VERSION);
    if (sq_tx_begin_read(s) != 0)
        return sq_fault_report(s, err, JOBQ_FAILED);
    if (read_in_snapshot(&r) != 0) {
        sq_tx_rollback(s);
        return sq_fault_report(s, err, JOBQ_FAILED);
    }
    sq_tx_commit(s, &unknown);
    query->rows = r.rows;
    query->row_count = r.count;
    return JOBQ_OK;
}
