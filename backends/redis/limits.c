/* SPDX-License-Identifier: MIT */
/* Limits and their use, read by one call of lua/limits.lua. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define MOST_AT_ONCE 1000

struct named {
    struct jobq_bytes name;
    struct jobq_limit limit;
};

static int no_memory(struct jobq_store *s)
{
    return rd_fault(&s->link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "out of memory");
}

static int by_name(const void *a, const void *b)
{
    return rd_bytes_order(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static uint32_t bit_if(int64_t value, uint32_t bit)
{
    return value >= JOBQ_LIMIT_NONE ? bit : 0;
}

static int read_limit(struct strings *strings, int of, struct jobq_arena *arena, struct named *out)
{
    struct jobq_limit *l = &out->limit;
    out->name = rd_next_bytes(strings);
    struct jobq_bytes plan = rd_next_bytes(strings);
    struct reader r = rd_next_string(strings);
    int64_t *const numbers[] = { &l->depth,   &l->concurrency,  &l->group_concurrency, &l->rate,
                                 &l->rate_period_ms, &l->quota, &l->quota_period_ms,   &l->running,
                                 &l->rate_used, &l->rate_wait_ms, &l->quota_used,      &l->quota_wait_ms };
    *l = (struct jobq_limit){ .size = sizeof *l, .of = of };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i] = rd_get_i64(&r);
    if (strings->broken || r.broken)
        return -1;
    l->set = bit_if(l->depth, JOBQ_LIMIT_DEPTH) | bit_if(l->concurrency, JOBQ_LIMIT_CONCURRENCY) |
             bit_if(l->group_concurrency, JOBQ_LIMIT_GROUP_CONCURRENCY) | bit_if(l->rate, JOBQ_LIMIT_RATE) |
             bit_if(l->quota, JOBQ_LIMIT_QUOTA) | (plan.size ? JOBQ_LIMIT_PLAN_NAME : 0);
    l->name = jobq_arena_text(arena, out->name.data ? out->name.data : "", out->name.size);
    l->plan = jobq_arena_text(arena, plan.data ? plan.data : "", plan.size);
    return l->name && l->plan ? 0 : -1;
}

static bool is_wanted(const struct jobq_limit_query *query, const struct named *one)
{
    return query->name.data || !query->after.data || rd_bytes_order(one->name, query->after) > 0;
}

static int take_limits(struct jobq_store *s, struct jobq_limit_query *query, struct strings *strings,
                       struct jobq_arena *arena)
{
    struct reader head = rd_next_string(strings);
    query->now_ms = rd_get_i64(&head);
    size_t count = strings->broken ? 0 : (strings->count - 1) / 3;
    struct named *named = jobq_arena_alloc(arena, count * sizeof *named);
    struct jobq_limit *limits = jobq_arena_alloc(arena, count * sizeof *limits);
    if (!named || !limits)
        return no_memory(s);
    if (strings->broken || head.broken)
        return rd_broken(s);
    for (size_t i = 0; i < count; i++)
        if (read_limit(strings, query->of, arena, &named[i]) != 0)
            return rd_broken(s);
    if (count)
        qsort(named, count, sizeof *named, by_name);
    query->limit_count = 0;
    for (size_t i = 0; i < count && query->limit_count < query->limit; i++)
        if (is_wanted(query, &named[i]))
            limits[query->limit_count++] = named[i].limit;
    query->limits = limits;
    return 0;
}

static void say(struct jobq_store *s, const struct jobq_limit_query *query)
{
    struct request *q = &s->request;
    const struct jobq_bytes *name = query->name.data ? &query->name : &query->after;
    rd_script_begin(s);
    rd_argument_begin(q);
    rd_u8(q, (unsigned)query->of);
    rd_u8(q, query->name.data != NULL);
    rd_u8(q, query->after.data != NULL);
    rd_u32(q, query->limit);
    rd_argument_end(q);
    rd_argument(q, name->data, name->size);
}

static int ask(struct jobq_store *s, struct jobq_limit_query *query, struct jobq_arena *arena)
{
    redisReply *reply;
    say(s, query);
    if (rd_script_run(s, SCRIPT_LIMITS, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    int result = take_limits(s, query, &strings, arena);
    freeReplyObject(reply);
    return result;
}

int rd_limits_query(struct jobq_store *s, struct jobq_limit_query *query, struct jobq_arena *arena, struct jobq_error *err)
{
    query->limits = NULL;
    query->limit_count = 0;
    if (query->name.data)
        query->limit = 1;
    if (query->limit > MOST_AT_ONCE)
        query->limit = MOST_AT_ONCE;
    rd_link_begin(&s->link);
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: the namespace is of another version", s->address.shown);
    if (ask(s, query, arena) == 0)
        return JOBQ_OK;
    rd_fault_report(&s->link, err);
    if (err)
        err->status = JOBQ_FAILED;
    return JOBQ_FAILED;
}
