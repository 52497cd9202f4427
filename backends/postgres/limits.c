/* SPDX-License-Identifier: MIT */
/* Limits are set and read here. What holds and what is counted stands in functions/limits.sql. */
#include "store.h"


/* ---- set -------------------------------------------------------------------------------------------------------- */

void pq_bound_pack(const struct jobq_settings *set, struct params *p)
{
    const struct jobq_bytes every = { "", 0 };
    bool is_group = set->what == JOBQ_CONFIGURE_GROUP;
    struct jobq_bytes name = is_group ? set->group : set->name;
    pack_int4(p, is_group ? OF_GROUP : OF_PLAN);
    pack_bytes(p, name.data ? name : every);
    pack_int8_if(p, set->set & JOBQ_SETTING_CONCURRENCY, set->concurrency);
    pack_int8_if(p, set->set & JOBQ_SETTING_RATE, set->rate);
    pack_int8_if(p, set->set & JOBQ_SETTING_RATE, set->rate_period_ms);
    pack_int8_if(p, set->set & JOBQ_SETTING_QUOTA, set->quota);
    pack_int8_if(p, set->set & JOBQ_SETTING_QUOTA, set->quota_period_ms);
    pack_bool(p, set->set & JOBQ_SETTING_PLAN);
    pack_bytes(p, set->plan);
}

/* ---- read ------------------------------------------------------------------------------------------------------- */

static int64_t value_of(struct cell cell, uint32_t bit, uint32_t *set)
{
    if (cell.size < 0)
        return JOBQ_LIMIT_UNSET;
    *set |= bit;
    return cell_int(cell);
}

/* As it is kept: the length of a tenth, the newest, the counts. */
static struct jobq_gauge gauge_of(struct cell cell)
{
    struct jobq_gauge gauge = { 0 };
    struct elements e = cell_elements(cell);
    struct cell number;
    if (elements_next(&e, &number))
        gauge.tenth_ms = cell_int(number);
    if (elements_next(&e, &number))
        gauge.newest = cell_int(number);
    for (int i = 0; i < 11 && elements_next(&e, &number); i++)
        gauge.counts[i] = cell_int(number);
    return gauge;
}

static void show_rate(struct cell held, struct cell n, int64_t period_ms, int64_t now, int64_t *used, int64_t *wait_ms)
{
    struct jobq_gauge gauge = gauge_of(held);
    if (n.size < 0)
        return;
    *used = jobq_gauge_used(&gauge, period_ms, now);
    *wait_ms = jobq_gauge_wait(&gauge, cell_int(n), period_ms, now);
}

enum { QUEUE_NOW, QUEUE_NAME, QUEUE_DEPTH, QUEUE_CONCURRENCY, QUEUE_GROUP_CONCURRENCY, QUEUE_RATE, QUEUE_RATE_MS,
       QUEUE_RUNNING, QUEUE_STARTS };

static void show_queue(const PGresult *r, int row, int64_t now, struct jobq_limit *out)
{
    out->depth = value_of(cell_of(r, row, QUEUE_DEPTH), JOBQ_LIMIT_DEPTH, &out->set);
    out->concurrency = value_of(cell_of(r, row, QUEUE_CONCURRENCY), JOBQ_LIMIT_CONCURRENCY, &out->set);
    out->group_concurrency = value_of(cell_of(r, row, QUEUE_GROUP_CONCURRENCY), JOBQ_LIMIT_GROUP_CONCURRENCY, &out->set);
    out->rate = value_of(cell_of(r, row, QUEUE_RATE), JOBQ_LIMIT_RATE, &out->set);
    out->rate_period_ms = cell_int(cell_of(r, row, QUEUE_RATE_MS));
    out->running = cell_int(cell_of(r, row, QUEUE_RUNNING));
    show_rate(cell_of(r, row, QUEUE_STARTS), cell_of(r, row, QUEUE_RATE), out->rate_period_ms, now, &out->rate_used,
              &out->rate_wait_ms);
}

enum { BOUND_NOW, BOUND_NAME, BOUND_PLAN, BOUND_CONCURRENCY, BOUND_RATE, BOUND_RATE_MS, BOUND_QUOTA, BOUND_QUOTA_MS,
       BOUND_RUNNING, BOUND_HOLDS_RATE, BOUND_HOLDS_RATE_MS, BOUND_HOLDS_QUOTA, BOUND_HOLDS_QUOTA_MS, BOUND_STARTS,
       BOUND_PUTS };

static void show_bound(const PGresult *r, int row, int64_t now, struct jobq_limit *out)
{
    out->concurrency = value_of(cell_of(r, row, BOUND_CONCURRENCY), JOBQ_LIMIT_CONCURRENCY, &out->set);
    out->rate = value_of(cell_of(r, row, BOUND_RATE), JOBQ_LIMIT_RATE, &out->set);
    out->rate_period_ms = cell_int(cell_of(r, row, BOUND_RATE_MS));
    out->quota = value_of(cell_of(r, row, BOUND_QUOTA), JOBQ_LIMIT_QUOTA, &out->set);
    out->quota_period_ms = cell_int(cell_of(r, row, BOUND_QUOTA_MS));
    if (out->of != JOBQ_LIMIT_GROUP || cell_of(r, row, BOUND_NAME).size <= 0)
        return;
    out->running = cell_int(cell_of(r, row, BOUND_RUNNING));
    show_rate(cell_of(r, row, BOUND_STARTS), cell_of(r, row, BOUND_HOLDS_RATE), cell_int(cell_of(r, row, BOUND_HOLDS_RATE_MS)),
              now, &out->rate_used, &out->rate_wait_ms);
    show_rate(cell_of(r, row, BOUND_PUTS), cell_of(r, row, BOUND_HOLDS_QUOTA),
              cell_int(cell_of(r, row, BOUND_HOLDS_QUOTA_MS)), now, &out->quota_used, &out->quota_wait_ms);
}

static int show(const PGresult *r, int row, const struct jobq_limit_query *query, struct jobq_arena *arena,
                struct jobq_limit *out)
{
    bool is_queue = query->of == JOBQ_LIMIT_QUEUE;
    struct jobq_bytes name = cell_bytes(cell_of(r, row, QUEUE_NAME));
    struct jobq_bytes plan = is_queue ? (struct jobq_bytes){ 0 } : cell_bytes(cell_of(r, row, BOUND_PLAN));
    *out = (struct jobq_limit){ .size = sizeof *out, .of = query->of, .depth = JOBQ_LIMIT_UNSET,
                                .concurrency = JOBQ_LIMIT_UNSET, .group_concurrency = JOBQ_LIMIT_UNSET,
                                .rate = JOBQ_LIMIT_UNSET, .quota = JOBQ_LIMIT_UNSET };
    out->set = plan.size ? JOBQ_LIMIT_PLAN_NAME : 0;
    out->name = jobq_arena_text(arena, name.data, name.size);
    out->plan = jobq_arena_text(arena, plan.data ? plan.data : "", plan.size);
    if (!out->name || !out->plan)
        return -1;
    if (is_queue)
        show_queue(r, row, query->now_ms, out);
    else
        show_bound(r, row, query->now_ms, out);
    return 0;
}

/* At least one row, for the time; without a name it is no limit. */
static int take(const PGresult *r, struct jobq_limit_query *query, struct jobq_arena *arena)
{
    int count = PQntuples(r);
    struct jobq_limit *limits = jobq_arena_alloc(arena, (size_t)count * sizeof *limits + 1);
    if (!limits || count < 1)
        return -1;
    query->now_ms = cell_int(cell_of(r, 0, QUEUE_NOW));
    query->limits = limits;
    if (cell_of(r, 0, QUEUE_NAME).size < 0)
        return 0;
    for (int i = 0; i < count; i++)
        if (show(r, i, query, arena, &limits[query->limit_count++]) != 0)
            return -1;
    return 0;
}

static void pack_query(const struct jobq_limit_query *query, struct params *p)
{
    if (query->of != JOBQ_LIMIT_QUEUE)
        pack_int4(p, query->of == JOBQ_LIMIT_GROUP ? OF_GROUP : OF_PLAN);
    pack_bytes(p, query->name);
    pack_bytes(p, query->after);
    pack_int8(p, query->limit < INT64_MAX ? (int64_t)query->limit : INT64_MAX);
}

int pq_limits_read(struct jobq_store *s, struct jobq_limit_query *query, struct jobq_arena *arena, struct jobq_error *err)
{
    struct params params = { 0 };
    enum sql which = query->of == JOBQ_LIMIT_QUEUE ? SQL_LIMITS_QUEUES : SQL_LIMITS_BOUNDS;
    struct transaction t = { .reads = true, .ms = s->io_timeout_ms, .count = 1,
                             .calls[0] = { .text = s->sql[which], .params = &params } };
    struct fault fault = { 0 };
    int status = JOBQ_OK;
    query->limits = NULL;
    query->limit_count = 0;
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: the store is of another version");
    pq_store_begin(s);
    if (pq_store_connect(s, &fault) != 0)
        return pq_fault_report(s, &fault, err, JOBQ_FAILED);
    pack_query(query, &params);
    if (pq_link_run(&s->link, &t, 1) != 0)
        status = pq_fault_report(s, &t.fault, err, JOBQ_FAILED);
    else if (take(t.calls[0].result, query, arena) != 0)
        status = jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: no memory for the limits, or none came");
    pq_transaction_clear(&t);
    pack_free(&params);
    return status;
}
