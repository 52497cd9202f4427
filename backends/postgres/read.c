/* SPDX-License-Identifier: MIT */
/* Reading rows by their ids or by a filter. */
#include "store.h"

#include <string.h>

/* Which stored states can be shown as one of those asked for. */
static int32_t stored_states(uint32_t shown)
{
    static const uint32_t stored[] = {
        [JOBQ_BLOCKED] = JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED),     [JOBQ_SCHEDULED] = JOBQ_ROW_BIT(JOBQ_ROW_WAITING),
        [JOBQ_READY] = JOBQ_ROW_BIT(JOBQ_ROW_WAITING),       [JOBQ_RUNNING] = JOBQ_ROW_BIT(JOBQ_ROW_RUNNING),
        [JOBQ_COMPLETED] = JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED), [JOBQ_DEAD] = JOBQ_ROW_BIT(JOBQ_ROW_DEAD),
        [JOBQ_CANCELLED] = JOBQ_ROW_BIT(JOBQ_ROW_CANCELLED),
    };
    uint32_t states = 0;
    for (size_t i = 0; i < JOBQ_STATE_COUNT; i++)
        if (!shown || shown & 1u << i)
            states |= stored[i];
    return (int32_t)states;
}

static void pack_query(const struct jobq_query *q, struct params *p)
{
    bool both = !q->states || (q->states & 1u << JOBQ_READY && q->states & 1u << JOBQ_SCHEDULED);
    if (q->id_count) {
        pack_begin(p, ELEMENT_ID);
        for (size_t i = 0; i < q->id_count; i++)
            pack_add_id(p, q->ids[i].bytes);
        pack_end(p);
    } else {
        pack_null(p);
    }
    pack_id(p, q->after.bytes);
    pack_int8(p, q->limit < INT64_MAX ? (int64_t)q->limit : INT64_MAX);
    pack_int8(p, q->bytes < INT64_MAX ? (int64_t)q->bytes : INT64_MAX);
    pack_int4(p, (int32_t)q->flags);
    pack_bytes(p, q->queue);
    pack_bytes(p, q->kind);
    pack_bytes(p, q->group);
    pack_int4(p, stored_states(q->states));
    pack_int4(p, both ? 0 : q->states & 1u << JOBQ_READY ? 1 : 2);
    pack_int4(p, q->reason);
    pack_int8(p, q->older_ms);
}

static int take_answer(const PGresult *result, struct jobq_query *query, struct jobq_arena *arena)
{
    struct jobq_row *rows;
    if (PQntuples(result) != 1 || PQnfields(result) != 2)
        return -1;
    query->now_ms = cell_int(cell_of(result, 0, 0));
    if (view_rows(arena, cell_of(result, 0, 1), &rows, &query->row_count) != 0)
        return -1;
    query->rows = rows;
    return 0;
}

static int report(struct jobq_store *s, const struct fault *fault, struct jobq_error *err)
{
    return pq_fault_report(s, fault, err, JOBQ_FAILED);
}

int pq_read_rows(struct jobq_store *s, struct jobq_query *query, struct jobq_arena *arena, struct jobq_error *err)
{
    struct params params = { 0 };
    struct transaction t = { .reads = true, .count = 1, .calls[0] = { .text = s->sql[SQL_READ], .params = &params } };
    struct fault fault = { 0 };
    query->rows = NULL;
    query->row_count = 0;
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL,
                              "postgres: the store has version %d of the schema, this library reads %d", s->version,
                              SCHEMA_VERSION);
    pq_store_begin(s);
    if (pq_store_connect(s, &fault) != 0)
        return report(s, &fault, err);
    pack_query(query, &params);
    t.ms = s->io_timeout_ms;
    int status = JOBQ_OK;
    if ((s->attached ? pq_attach_run(s, &t) : pq_link_run(&s->link, &t, 1)) != 0)
        status = report(s, &t.fault, err);
    else if (take_answer(t.calls[0].result, query, arena) != 0)
        status = jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: no memory for the rows, or no rows");
    pq_transaction_clear(&t);
    pack_free(&params);
    return status;
}
