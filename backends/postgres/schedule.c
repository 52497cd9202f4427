/* SPDX-License-Identifier: MIT */
/* Schedules: the ticks of puts on their way in, rows on their way out. What is done stands in functions/schedules.sql. */
#include "store.h"

/* ---- ticks ---------------------------------------------------------------------------------------------------- */

static void add_tick(struct params *p, const struct jobq_put_tick *tick)
{
    pack_add_int8(p, tick ? tick->version : 0);
    pack_add_int8(p, tick ? tick->nominal_ms : 0);
    pack_add_int8(p, tick ? tick->next_ms : 0);
    pack_add_int8(p, tick ? tick->mode : 0);
}

/* Two parameters, NULL when no put is a tick. */
void pq_ticks_pack(const struct jobq_exchange *x, struct params *p)
{
    bool any = false;
    for (size_t i = 0; i < x->put_count && !any; i++)
        any = x->puts[i].tick != NULL;
    if (!any) {
        pack_null(p);
        pack_null(p);
        return;
    }
    pack_begin(p, ELEMENT_BYTES);
    for (size_t i = 0; i < x->put_count; i++)
        pack_add_bytes(p, x->puts[i].tick ? x->puts[i].tick->schedule : (struct jobq_bytes){ 0 });
    pack_end(p);
    pack_begin(p, ELEMENT_INT8);
    for (size_t i = 0; i < x->put_count; i++)
        add_tick(p, x->puts[i].tick);
    pack_end(p);
}

/* ---- settings ------------------------------------------------------------------------------------------------------ */

void pq_schedule_pack(const struct jobq_settings *set, struct params *p)
{
    pack_bytes(p, set->name);
    pack_int8(p, set->version);
    pack_bool(p, set->set & JOBQ_SETTING_SCHEDULE);
    pack_bytes(p, set->schedule);
    if (set->set & JOBQ_SETTING_PAUSED)
        pack_bool(p, set->paused != 0);
    else
        pack_null(p);
    pack_int8_if(p, set->set & JOBQ_SETTING_NEXT, set->next_ms);
    pack_int8_if(p, set->set & JOBQ_SETTING_NEXT, set->fired_ms);
}

/* ---- answers --------------------------------------------------------------------------------------------------------- */

static int fill(struct jobq_arena *arena, struct cell name, struct cell bytes, struct elements *numbers,
                struct jobq_schedule_row *out)
{
    struct cell cells[4];
    for (int i = 0; i < 4; i++)
        if (!elements_next(numbers, &cells[i]))
            return -1;
    *out = (struct jobq_schedule_row){ .version = cell_int(cells[0]), .fired_ms = cell_int(cells[1]),
                                       .next_ms = cell_int(cells[2]), .paused = cell_int(cells[3]) != 0 };
    const struct jobq_bytes from[] = { cell_bytes(name), cell_bytes(bytes) };
    return jobq_arena_bytes(arena, from[0].data, from[0].size, &out->name) != 0
               ? -1
               : jobq_arena_bytes(arena, from[1].data, from[1].size, &out->bytes);
}

int pq_schedules_view(const PGresult *result, int column, struct jobq_arena *arena,
                      const struct jobq_schedule_row **rows, size_t *count)
{
    struct elements names = cell_elements(cell_of(result, 0, column));
    struct elements bytes = cell_elements(cell_of(result, 0, column + 1));
    struct elements numbers = cell_elements(cell_of(result, 0, column + 2));
    size_t expected = (size_t)names.left;
    struct jobq_schedule_row *made = jobq_arena_alloc(arena, (expected + 1) * sizeof *made);
    struct cell name, body;
    *rows = made;
    *count = 0;
    while (made && elements_next(&names, &name) && elements_next(&bytes, &body)) {
        if (fill(arena, name, body, &numbers, &made[*count]) != 0)
            return -1;
        (*count)++;
    }
    return made && *count == expected ? 0 : -1;
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

static int take(const PGresult *result, struct jobq_schedule_query *query, struct jobq_arena *arena)
{
    if (PQntuples(result) != 1 || PQnfields(result) != 4)
        return -1;
    query->now_ms = cell_int(cell_of(result, 0, 0));
    return pq_schedules_view(result, 1, arena, &query->rows, &query->row_count);
}

int pq_schedules_read(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena,
                      struct jobq_error *err)
{
    struct params params = { 0 };
    struct transaction t = { .reads = true, .ms = s->io_timeout_ms, .count = 1,
                             .calls[0] = { .text = s->sql[SQL_SCHEDULES], .params = &params } };
    struct fault fault = { 0 };
    int status = JOBQ_OK;
    query->rows = NULL;
    query->row_count = 0;
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: the store is of another version");
    pq_store_begin(s);
    if (pq_store_connect(s, &fault) != 0)
        return pq_fault_report(s, &fault, err, JOBQ_FAILED);
    pack_bytes(&params, query->name);
    pack_bytes(&params, query->name.data ? (struct jobq_bytes){ 0 } : query->after);
    pack_int8(&params, query->limit < INT64_MAX ? (int64_t)query->limit : INT64_MAX);
    pack_int8(&params, query->bytes < INT64_MAX ? (int64_t)query->bytes : INT64_MAX);
    if (pq_link_run(&s->link, &t, 1) != 0)
        status = pq_fault_report(s, &t.fault, err, JOBQ_FAILED);
    else if (take(t.calls[0].result, query, arena) != 0)
        status = jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: no memory for the schedules, or none came");
    pq_transaction_clear(&t);
    pack_free(&params);
    return status;
}
