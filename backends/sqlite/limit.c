/* SPDX-License-Identifier: MIT */
/* Limits of groups and plans are set and read here; those of queues stand with the queue's other settings. */
#include "store.h"

static bool is_set(int64_t value)
{
    return value >= JOBQ_LIMIT_NONE;
}

/* ---- setting --------------------------------------------------------------------------------------------------- */

static struct value value_or_null(int64_t limit)
{
    return is_set(limit) ? number(limit) : nothing();
}

static int write_limits(struct turn *t, int of, struct jobq_bytes name, const struct jobq_bounds *own, struct jobq_bytes plan)
{
    if (!is_set(own->concurrency) && !is_set(own->rate) && !is_set(own->quota) && !plan.size)
        return sq_run(t->s, SQL_LIMIT_DROP, VALUES(number(of), bytes(name)));
    return sq_run(t->s, SQL_LIMIT_SET,
                  VALUES(number(of), bytes(name), value_or_null(own->concurrency), value_or_null(own->rate),
                         number(own->rate_period_ms), value_or_null(own->quota), number(own->quota_period_ms),
                         plan.size ? bytes(plan) : nothing()));
}

struct jobq_bytes sq_limit_name(const struct jobq_settings *settings, int *of)
{
    const struct jobq_bytes every = { "", 0 };
    struct jobq_bytes name = settings->what == JOBQ_CONFIGURE_GROUP ? settings->group : settings->name;
    *of = settings->what == JOBQ_CONFIGURE_GROUP ? JOBQ_LIMIT_GROUP : JOBQ_LIMIT_PLAN;
    return name.data ? name : every;
}

int sq_configure_group(struct turn *t, const struct jobq_settings *settings)
{
    struct jobq_bounds own;
    struct jobq_bytes plan;
    int of;
    struct jobq_bytes name = sq_limit_name(settings, &of);
    struct jobq_arena *arena = jobq_arena_create();
    int result = arena ? sq_limits_get(t->s, of, name, &own, &plan, arena) : sq_fault_memory(t->s);
    if (result >= 0) {
        jobq_bounds_set(&own, settings);
        if (settings->set & JOBQ_SETTING_PLAN)
            plan = settings->plan;
        result = write_limits(t, of, name, &own, plan);
    }
    jobq_arena_destroy(arena);
    t->wake = true;
    return result < 0 ? -1 : 0;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

struct listing {
    struct jobq_store *s;
    struct jobq_limit_query *query;
    struct jobq_arena *arena;
    struct jobq_limit *limits;
    size_t room;
};

static struct jobq_limit unset_limit(int of)
{
    return (struct jobq_limit){ .size = sizeof(struct jobq_limit), .of = of, .plan = "", .depth = JOBQ_LIMIT_UNSET,
                                .concurrency = JOBQ_LIMIT_UNSET, .group_concurrency = JOBQ_LIMIT_UNSET,
                                .rate = JOBQ_LIMIT_UNSET, .quota = JOBQ_LIMIT_UNSET };
}

static int add_limit(struct listing *l, struct jobq_limit one, struct jobq_bytes name, struct jobq_bytes plan)
{
    struct jobq_limit_query *q = l->query;
    struct jobq_limit *limits = jobq_arena_grow(l->arena, l->limits, q->limit_count, &l->room, sizeof *limits);
    if (!limits)
        return sq_fault_memory(l->s);
    l->limits = limits;
    one.name = jobq_arena_text(l->arena, name.data, name.size);
    if (plan.size)
        one.plan = jobq_arena_text(l->arena, plan.data, plan.size);
    limits[q->limit_count++] = one;
    return one.name && one.plan ? 0 : sq_fault_memory(l->s);
}

static int show_rate(const struct listing *l, enum gauge of, struct jobq_bytes name, int64_t n, int64_t period_ms,
                     int64_t *used, int64_t *wait_ms)
{
    struct meter m = { .read = false };
    if (n < 0)
        return 0;
    if (sq_meter_read(l->s, of, name, &m) != 0)
        return -1;
    *used = jobq_gauge_used(&m.gauge, period_ms, l->query->now_ms);
    *wait_ms = jobq_gauge_wait(&m.gauge, n, period_ms, l->query->now_ms);
    return 0;
}

static int64_t or_unset(int64_t limit)
{
    return limit >= 0 ? limit : JOBQ_LIMIT_UNSET;
}

static int show_queue(struct listing *l, int64_t id, struct jobq_bytes name)
{
    struct queue_settings own;
    struct jobq_limit one = unset_limit(l->query->of);
    if (sq_queue_settings(l->s, id, &own) != 0)
        return -1;
    one.set = (own.depth >= 0 ? JOBQ_LIMIT_DEPTH : 0) | (own.concurrency >= 0 ? JOBQ_LIMIT_CONCURRENCY : 0) |
              (own.group_concurrency >= 0 ? JOBQ_LIMIT_GROUP_CONCURRENCY : 0) | (own.rate >= 0 ? JOBQ_LIMIT_RATE : 0);
    one.depth = or_unset(own.depth);
    one.concurrency = or_unset(own.concurrency);
    one.group_concurrency = or_unset(own.group_concurrency);
    one.rate = or_unset(own.rate);
    one.rate_period_ms = own.rate >= 0 ? own.rate_period_ms : 0;
    one.running = own.count[COUNT_RUNNING];
    if (show_rate(l, GAUGE_QUEUE, name, own.rate, own.rate_period_ms, &one.rate_used, &one.rate_wait_ms) != 0)
        return -1;
    return add_limit(l, one, name, (struct jobq_bytes){ 0 });
}

static int show_use(struct listing *l, struct jobq_bytes name, struct jobq_limit *one)
{
    struct jobq_bounds holds;
    if (sq_number(l->s, SQL_LANE_RUNNING, &one->running, VALUES(bytes(name))) < 0 ||
        sq_limits_hold(l->s, name, l->arena, &holds) != 0)
        return -1;
    if (show_rate(l, GAUGE_STARTS, name, holds.rate, holds.rate_period_ms, &one->rate_used, &one->rate_wait_ms) != 0)
        return -1;
    return show_rate(l, GAUGE_PUTS, name, holds.quota, holds.quota_period_ms, &one->quota_used, &one->quota_wait_ms);
}

static int show_group(struct listing *l, struct jobq_bytes name, const struct jobq_bounds *own, struct jobq_bytes plan)
{
    struct jobq_limit one = unset_limit(l->query->of);
    one.set = (is_set(own->concurrency) ? JOBQ_LIMIT_CONCURRENCY : 0) | (is_set(own->rate) ? JOBQ_LIMIT_RATE : 0) |
              (is_set(own->quota) ? JOBQ_LIMIT_QUOTA : 0) | (plan.size ? JOBQ_LIMIT_PLAN_NAME : 0);
    one.concurrency = own->concurrency;
    one.rate = own->rate;
    one.rate_period_ms = own->rate_period_ms;
    one.quota = own->quota;
    one.quota_period_ms = own->quota_period_ms;
    if (l->query->of == JOBQ_LIMIT_GROUP && name.size && show_use(l, name, &one) != 0)
        return -1;
    return add_limit(l, one, name, plan);
}

static struct jobq_bytes after_of(const struct jobq_limit_query *query)
{
    const struct jobq_bytes first = { "", 0 };
    return query->after.data ? query->after : first;
}

static int list_queues(struct listing *l)
{
    const struct jobq_limit_query *q = l->query;
    sqlite3_stmt *row = sq_start(l->s, SQL_LIMIT_QUEUES,
                                 VALUES(bytes(after_of(q)), number(q->after.data != NULL), number((int64_t)q->limit)));
    int more;
    while ((more = sq_step(l->s, row)) > 0) {
        if (show_queue(l, sqlite3_column_int64(row, 0), sq_column_bytes(row, 1)) == 0)
            continue;
        sqlite3_reset(row);
        return -1;
    }
    return more;
}

static int list_groups(struct listing *l)
{
    const struct jobq_limit_query *q = l->query;
    sqlite3_stmt *row = sq_start(l->s, SQL_LIMIT_LIST, VALUES(number(q->of), bytes(after_of(q)),
                                                              number(q->after.data != NULL), number((int64_t)q->limit)));
    int more;
    while ((more = sq_step(l->s, row)) > 0) {
        struct jobq_bounds own;
        sq_limits_read(row, &own);
        if (show_group(l, sq_column_bytes(row, 6), &own, sq_column_bytes(row, 5)) == 0)
            continue;
        sqlite3_reset(row);
        return -1;
    }
    return more;
}

/* Stored or not: what every group has may hold for one that was never heard of. */
static int show_named(struct listing *l)
{
    const struct jobq_limit_query *q = l->query;
    struct jobq_bounds own;
    struct jobq_bytes plan;
    int64_t id;
    if (q->of != JOBQ_LIMIT_QUEUE)
        return sq_limits_get(l->s, q->of, q->name, &own, &plan, l->arena) < 0 ? -1 : show_group(l, q->name, &own, plan);
    int found = sq_queue_find(l->s, q->name, &id);
    if (found != 0)
        return found < 0 ? -1 : show_queue(l, id, q->name);
    return add_limit(l, unset_limit(q->of), q->name, (struct jobq_bytes){ 0 });
}

static int fill(struct listing *l)
{
    struct jobq_limit_query *q = l->query;
    if (sq_clock_read(l->s, &q->now_ms) != 0)
        return -1;
    if (q->name.data)
        return show_named(l);
    return q->of == JOBQ_LIMIT_QUEUE ? list_queues(l) : list_groups(l);
}

int sq_limits_show(struct jobq_store *s, struct jobq_limit_query *query, struct jobq_arena *arena, struct jobq_error *err)
{
    struct listing l = { .s = s, .query = query, .arena = arena };
    bool unknown;
    query->limits = NULL;
    query->limit_count = 0;
    query->limit = query->limit < INT32_MAX ? query->limit : INT32_MAX;
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "sqlite: the store has version %d of the schema, this library reads %d",
                              s->version, SCHEMA_VERSION);
    if (sq_tx_begin_read(s) != 0)
        return sq_fault_report(s, err, JOBQ_FAILED);
    if (fill(&l) != 0) {
        sq_tx_rollback(s);
        return sq_fault_report(s, err, JOBQ_FAILED);
    }
    sq_tx_commit(s, &unknown);
    query->limits = l.limits;
    return JOBQ_OK;
}
