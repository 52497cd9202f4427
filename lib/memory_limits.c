/* SPDX-License-Identifier: MIT */
/* Limits are set and read here. */
#include "memory.h"

static bool is_set(int64_t value)
{
    return value >= JOBQ_LIMIT_NONE;
}

/* ---- settings ------------------------------------------------------------------------------------------------ */

int mem_configure_group(struct mem_unit *u, const struct jobq_settings *settings)
{
    bool is_group = settings->what == JOBQ_CONFIGURE_GROUP;
    uint32_t known = JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_RATE | JOBQ_SETTING_QUOTA;
    struct jobq_bytes name = is_group ? settings->group : settings->name;
    if (is_group && name.size)
        known |= JOBQ_SETTING_PLAN;
    if (settings->set & ~known)
        return JOBQ_UNSUPPORTED;
    if (!name.data)
        name = (struct jobq_bytes){ "", 0 };
    struct mem_group *group = mem_group_get(u, is_group ? &u->m->groups : &u->m->plans, name);
    if (!group || mem_edit(u, group) != 0)
        return -1;
    jobq_bounds_set(&group->c.own, settings);
    if (settings->set & JOBQ_SETTING_PLAN && mem_set_bytes(u, &group->c.plan, settings->plan) != 0)
        return -1;
    mem_done(u, group);
    u->wake = true;
    return JOBQ_OK;
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static void show_rate(const struct jobq_gauge *gauge, int64_t n, int64_t period_ms, int64_t now, int64_t *used,
                      int64_t *wait_ms)
{
    *used = n >= 0 ? jobq_gauge_used(gauge, period_ms, now) : 0;
    *wait_ms = n >= 0 ? jobq_gauge_wait(gauge, n, period_ms, now) : 0;
}

static uint32_t bit_if(int64_t value, uint32_t bit)
{
    return is_set(value) ? bit : 0;
}

static void show_group(const struct mem *m, const struct mem_group *group, bool is_group, int64_t now,
                       struct jobq_limit *out)
{
    const struct jobq_bounds *own = &group->c.own;
    out->set = bit_if(own->concurrency, JOBQ_LIMIT_CONCURRENCY) | bit_if(own->rate, JOBQ_LIMIT_RATE) |
               bit_if(own->quota, JOBQ_LIMIT_QUOTA) | (group->c.plan.size ? JOBQ_LIMIT_PLAN_NAME : 0);
    out->concurrency = own->concurrency;
    out->rate = own->rate;
    out->rate_period_ms = own->rate_period_ms;
    out->quota = own->quota;
    out->quota_period_ms = own->quota_period_ms;
    if (!is_group || !group->name.size)
        return;
    struct jobq_bounds holds = mem_limits_of(m, group);
    out->running = (int64_t)group->running;
    show_rate(&group->c.starts, holds.rate, holds.rate_period_ms, now, &out->rate_used, &out->rate_wait_ms);
    show_rate(&group->c.puts, holds.quota, holds.quota_period_ms, now, &out->quota_used, &out->quota_wait_ms);
}

static void show_queue(const struct mem_queue *queue, int64_t now, struct jobq_limit *out)
{
    const struct mem_queue_cells *c = &queue->c;
    out->set = bit_if(c->depth < 0 ? JOBQ_LIMIT_UNSET : c->depth, JOBQ_LIMIT_DEPTH) |
               (c->concurrency >= 0 ? JOBQ_LIMIT_CONCURRENCY : 0) |
               (c->group_concurrency >= 0 ? JOBQ_LIMIT_GROUP_CONCURRENCY : 0) | (c->rate >= 0 ? JOBQ_LIMIT_RATE : 0);
    out->depth = c->depth >= 0 ? c->depth : JOBQ_LIMIT_UNSET;
    out->concurrency = c->concurrency >= 0 ? c->concurrency : JOBQ_LIMIT_UNSET;
    out->group_concurrency = c->group_concurrency >= 0 ? c->group_concurrency : JOBQ_LIMIT_UNSET;
    out->rate = c->rate >= 0 ? c->rate : JOBQ_LIMIT_UNSET;
    out->rate_period_ms = c->rate >= 0 ? c->rate_period_ms : 0;
    out->running = (int64_t)queue->count[JOBQ_ROW_RUNNING];
    show_rate(&c->starts, c->rate, c->rate_period_ms, now, &out->rate_used, &out->rate_wait_ms);
}

static struct jobq_limit unset_limit(int of)
{
    return (struct jobq_limit){ .size = sizeof(struct jobq_limit), .of = of, .plan = "", .depth = JOBQ_LIMIT_UNSET,
                                .concurrency = JOBQ_LIMIT_UNSET, .group_concurrency = JOBQ_LIMIT_UNSET,
                                .rate = JOBQ_LIMIT_UNSET, .quota = JOBQ_LIMIT_UNSET };
}

static int add_limit(struct jobq_limit_query *query, struct jobq_limit *room, struct jobq_limit one,
                     struct jobq_arena *arena, struct jobq_bytes name, struct jobq_bytes plan)
{
    one.name = jobq_arena_text(arena, name.data, name.size);
    if (plan.size)
        one.plan = jobq_arena_text(arena, plan.data, plan.size);
    if (!one.name || !one.plan)
        return -1;
    room[query->limit_count++] = one;
    return 0;
}

static int list_queues(struct mem *m, struct jobq_limit_query *query, struct jobq_limit *room,
                       struct jobq_arena *arena, int64_t now)
{
    const struct jobq_bytes none = { 0 };
    for (const struct mem_queue *q = mem_queue_after(m, NULL); q && query->limit_count < query->limit;
         q = mem_queue_after(m, q)) {
        struct jobq_limit one = unset_limit(query->of);
        if (query->name.data ? mem_bytes_order(q->name, query->name) != 0
                             : query->after.data && mem_bytes_order(q->name, query->after) <= 0)
            continue;
        show_queue(q, now, &one);
        if ((query->name.data || one.set) && add_limit(query, room, one, arena, q->name, none) != 0)
            return -1;
    }
    return 0;
}

static int list_groups(struct mem *m, struct jobq_limit_query *query, struct jobq_limit *room,
                       struct jobq_arena *arena, int64_t now)
{
    bool is_group = query->of == JOBQ_LIMIT_GROUP;
    const struct mem_tree *tree = is_group ? &m->groups : &m->plans;
    struct mem_group *group = query->name.data ? mem_group_find(tree, query->name) : mem_group_after(tree, query->after);
    for (; group && query->limit_count < query->limit; group = mem_group_after(tree, group->name)) {
        struct jobq_limit one = unset_limit(query->of);
        show_group(m, group, is_group, now, &one);
        if ((query->name.data || one.set) && add_limit(query, room, one, arena, group->name, group->c.plan) != 0)
            return -1;
        if (query->name.data)
            return 0;
    }
    return 0;
}

/* Asked for by name, and never heard of: what every group has may hold for it. */
static int add_unknown(const struct mem *m, struct jobq_limit_query *query, struct jobq_limit *room,
                       struct jobq_arena *arena, int64_t now)
{
    const struct mem_group group = { .name = query->name, .c.own = JOBQ_BOUNDS_UNSET };
    struct jobq_limit one = unset_limit(query->of);
    if (query->of == JOBQ_LIMIT_GROUP)
        show_group(m, &group, true, now, &one);
    return add_limit(query, room, one, arena, query->name, (struct jobq_bytes){ 0 });
}

static size_t most_limits(const struct mem *m, const struct jobq_limit_query *query)
{
    size_t count = 1;
    for (const struct mem_queue *q = mem_queue_after(m, NULL); q; q = mem_queue_after(m, q))
        count++;
    for (int i = 0; i < 2; i++) {
        const struct mem_tree *tree = i ? &m->plans : &m->groups;
        for (const struct mem_group *g = mem_group_after(tree, (struct jobq_bytes){ 0 }); g;
             g = mem_group_after(tree, g->name))
            count++;
    }
    return count < query->limit ? count : query->limit;
}

int mem_limits(struct mem *m, struct jobq_limit_query *query, struct jobq_arena *arena, int64_t now)
{
    query->limit = query->name.data ? 1 : query->limit;
    struct jobq_limit *room = jobq_arena_alloc(arena, most_limits(m, query) * sizeof *room);
    if (!room)
        return -1;
    query->limits = room;
    query->limit_count = 0;
    query->now_ms = now;
    int result = query->of == JOBQ_LIMIT_QUEUE ? list_queues(m, query, room, arena, now)
                                               : list_groups(m, query, room, arena, now);
    return result == 0 && query->name.data && !query->limit_count ? add_unknown(m, query, room, arena, now) : result;
}

