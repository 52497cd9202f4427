/* SPDX-License-Identifier: MIT */
/* Reading events. How they come to their cursors stands in functions/events.sql. */
#include "store.h"

enum column { EVENT_OLDEST, EVENT_NEWEST, EVENT_IDS, EVENT_QUEUES, EVENT_KINDS, EVENT_WORKERS, EVENT_NUMBERS, EVENT_COLUMNS };

/* The arrays of an answer, side by side. */
struct columns {
    struct elements ids, queues, kinds, workers, numbers;
};

static int next_bytes(struct jobq_arena *arena, struct elements *from, struct jobq_bytes *out)
{
    struct cell cell;
    if (!elements_next(from, &cell))
        return -1;
    struct jobq_bytes bytes = cell_bytes(cell);
    return jobq_arena_bytes(arena, bytes.data, bytes.size, out);
}

static int fill(struct jobq_arena *arena, struct columns *c, struct jobq_event_row *out)
{
    struct cell id, numbers[6];
    for (int i = 0; i < 6; i++)
        if (!elements_next(&c->numbers, &numbers[i]))
            return -1;
    *out = (struct jobq_event_row){
        .cursor = cell_int(numbers[0]), .at_ms = cell_int(numbers[1]), .state = (int32_t)cell_int(numbers[2]),
        .reason = (int32_t)cell_int(numbers[3]), .attempt = cell_int(numbers[4]), .run_at_ms = cell_int(numbers[5]),
    };
    if (!elements_next(&c->ids, &id))
        return -1;
    cell_copy(id, out->id.bytes, sizeof out->id.bytes);
    return next_bytes(arena, &c->queues, &out->queue) != 0 || next_bytes(arena, &c->kinds, &out->kind) != 0
               ? -1
               : next_bytes(arena, &c->workers, &out->worker);
}

static int take(const PGresult *result, struct jobq_event_query *query, struct jobq_arena *arena)
{
    if (PQntuples(result) != 1 || PQnfields(result) != EVENT_COLUMNS)
        return -1;
    struct columns c = {
        .ids = cell_elements(cell_of(result, 0, EVENT_IDS)), .queues = cell_elements(cell_of(result, 0, EVENT_QUEUES)),
        .kinds = cell_elements(cell_of(result, 0, EVENT_KINDS)),
        .workers = cell_elements(cell_of(result, 0, EVENT_WORKERS)),
        .numbers = cell_elements(cell_of(result, 0, EVENT_NUMBERS)),
    };
    size_t count = (size_t)c.ids.left;
    struct jobq_event_row *rows = jobq_arena_alloc(arena, (count + 1) * sizeof *rows);
    if (!rows)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (fill(arena, &c, &rows[i]) != 0)
            return -1;
    query->rows = rows;
    query->row_count = count;
    query->oldest = cell_int(cell_of(result, 0, EVENT_OLDEST));
    query->newest = cell_int(cell_of(result, 0, EVENT_NEWEST));
    return 0;
}

/* Events that are not numbered yet are numbered by who reads: a transaction that writes. */
static int ask(struct jobq_store *s, struct transaction *t)
{
    for (int turn = 0;; turn++) {
        if (pq_link_run(&s->link, t, 1) == 0)
            return 0;
        if (!pq_fault_again(&t->fault) || turn == 5 || !s->link.conn)
            return -1;
        pq_transaction_clear(t);
        pq_pause(turn);
    }
}

int pq_events_read(struct jobq_store *s, struct jobq_event_query *query, struct jobq_arena *arena,
                   struct jobq_error *err)
{
    struct params params = { 0 };
    struct transaction t = { .reads = s->inspect, .ms = s->io_timeout_ms, .count = 1,
                             .calls[0] = { .text = s->sql[SQL_EVENTS], .params = &params } };
    struct fault fault = { 0 };
    int status = JOBQ_OK;
    query->rows = NULL;
    query->row_count = 0;
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: the store is of another version");
    pq_store_begin(s);
    if (pq_store_connect(s, &fault) != 0)
        return pq_fault_report(s, &fault, err, JOBQ_FAILED);
    pack_int8(&params, query->after);
    pack_int8(&params, query->limit < INT64_MAX ? (int64_t)query->limit : INT64_MAX);
    pack_bool(&params, !s->inspect);
    if (ask(s, &t) != 0)
        status = pq_fault_report(s, &t.fault, err, JOBQ_FAILED);
    else if (take(t.calls[0].result, query, arena) != 0)
        status = jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: no memory for the events, or none came");
    pq_transaction_clear(&t);
    pack_free(&params);
    return status;
}
