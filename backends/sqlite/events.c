/* SPDX-License-Identifier: MIT */
/* What happened, in order, while somebody wants it kept. The newest cursor stands beside the clock, which every exchange
 * knows; it is written once, at the end of the exchange. */
#include "store.h"

int sq_event(struct turn *t, const struct jobq_row *r, int64_t queue, int64_t kind, int state)
{
    struct store_clock *c = &t->s->clock;
    if (!c->events)
        return 0;
    t->happened = true;
    c->event++;
    return sq_run(t->s, SQL_EVENT_ADD,
                  VALUES(number(c->event), number(t->now), id_value(&r->id), number(queue), number(kind),
                         state == JOBQ_ROW_RUNNING ? bytes(r->worker) : nothing(), number(state), number(r->reason),
                         number(r->attempt), number(r->run_at_ms)));
}

int sq_events_write(struct turn *t)
{
    const struct store_clock *c = &t->s->clock;
    if (!t->happened)
        return 0;
    if (sq_run(t->s, SQL_EVENT_CURSOR, VALUES(number(c->event))) != 0)
        return -1;
    return sq_run(t->s, SQL_EVENT_TRIM, VALUES(number(c->event - c->events)));
}

int sq_events_limit(struct turn *t, int64_t keep)
{
    struct store_clock *c = &t->s->clock;
    c->events = keep > 0 ? keep : 0;
    if (sq_run(t->s, SQL_EVENT_KEEP, VALUES(number(c->events))) != 0)
        return -1;
    return sq_run(t->s, SQL_EVENT_TRIM, VALUES(number(c->event - c->events)));
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int fill(struct jobq_arena *arena, sqlite3_stmt *row, struct jobq_event_row *out)
{
    static const int names[] = { 3, 4, 5 };
    struct jobq_bytes *texts[] = { &out->queue, &out->kind, &out->worker };
    struct jobq_bytes id = sq_column_bytes(row, 2);
    *out = (struct jobq_event_row){
        .cursor = sqlite3_column_int64(row, 0), .at_ms = sqlite3_column_int64(row, 1),
        .state = sqlite3_column_int(row, 6), .reason = sqlite3_column_int(row, 7),
        .attempt = sqlite3_column_int64(row, 8), .run_at_ms = sqlite3_column_int64(row, 9),
    };
    for (size_t i = 0; i < id.size && i < sizeof out->id; i++)
        out->id.bytes[i] = ((const uint8_t *)id.data)[i];
    for (int i = 0; i < 3; i++) {
        struct jobq_bytes from = sq_column_bytes(row, names[i]);
        if (jobq_arena_bytes(arena, from.data, from.size, texts[i]) != 0)
            return -1;
    }
    return 0;
}

static int read_rows(struct jobq_store *s, struct jobq_event_query *query, struct jobq_arena *arena, size_t room)
{
    struct jobq_event_row *rows = jobq_arena_alloc(arena, (room ? room : 1) * sizeof *rows);
    if (!rows)
        return sq_fault_memory(s);
    query->rows = rows;
    query->row_count = 0;
    sqlite3_stmt *row = sq_start(s, SQL_EVENT_LIST, VALUES(number(query->after), number((int64_t)room)));
    int more;
    while ((more = sq_step(s, row)) > 0)
        if (fill(arena, row, &rows[query->row_count++]) != 0) {
            sqlite3_reset(row);
            return sq_fault_memory(s);
        }
    return more;
}

static int read_page(struct jobq_store *s, struct jobq_event_query *query, struct jobq_arena *arena)
{
    int64_t now, oldest, count;
    if (sq_clock_read(s, &now) != 0) /* brings the newest cursor */
        return -1;
    query->newest = s->clock.event;
    query->oldest = query->newest + 1;
    int any = sq_number(s, SQL_EVENT_OLDEST, &oldest, NULL, 0);
    if (any < 0)
        return -1;
    if (any)
        query->oldest = oldest;
    int64_t first = query->after >= query->oldest ? query->after + 1 : query->oldest;
    count = query->newest - first + 1;
    size_t room = count <= 0 ? 0 : (uint64_t)count < query->limit ? (size_t)count : query->limit;
    return read_rows(s, query, arena, room);
}

int sq_events_read(struct jobq_store *s, struct jobq_event_query *query, struct jobq_arena *arena,
                   struct jobq_error *err)
{
    bool unknown;
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "sqlite: the store is of another version");
    if (sq_tx_begin_read(s) != 0)
        return sq_fault_report(s, err, JOBQ_FAILED);
    if (read_page(s, query, arena) != 0) {
        sq_tx_rollback(s);
        return sq_fault_report(s, err, JOBQ_FAILED);
    }
    sq_tx_commit(s, &unknown);
    return JOBQ_OK;
}
