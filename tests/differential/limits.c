/* SPDX-License-Identifier: MIT */
/* Limits: steps that set and read them, and how the answers are compared. */
#include "diff.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- generating ------------------------------------------------------------------------------------------------ */

/* Mostly so small that the next wants and puts meet it. */
static int64_t some_limit(struct generator *g, const struct limit_step *l)
{
    int64_t n = PICK(g, JOBQ_LIMIT_NONE, 0, 1, 1, 2, 3, 5);
    if (l->of != JOBQ_LIMIT_QUEUE && chance(g, 30))
        return JOBQ_LIMIT_UNSET;
    return n == 0 && chance(g, 60) ? 1 : n;
}

static uint32_t some_members(struct generator *g, const struct limit_step *l)
{
    uint32_t set = (chance(g, 40) ? JOBQ_SETTING_CONCURRENCY : 0) | (chance(g, 40) ? JOBQ_SETTING_RATE : 0);
    if (l->of == JOBQ_LIMIT_QUEUE)
        return set | (chance(g, 40) ? JOBQ_SETTING_GROUP_CONCURRENCY : 0);
    set |= chance(g, 40) ? JOBQ_SETTING_QUOTA : 0;
    bool may_have_plan = l->of == JOBQ_LIMIT_GROUP && l->name >= 0;
    return set | (chance(g, may_have_plan ? 40 : 3) ? JOBQ_SETTING_PLAN : 0);
}

void generate_limit(struct generator *g, struct step *s)
{
    struct limit_step *l = &s->limit;
    s->kind = STEP_LIMIT;
    l->of = between(g, JOBQ_LIMIT_QUEUE, JOBQ_LIMIT_PLAN);
    l->name = between(g, l->of == JOBQ_LIMIT_GROUP ? -1 : 0, l->of == JOBQ_LIMIT_GROUP ? GROUPS - 1 : 2);
    s->set = some_members(g, l);
    l->concurrency = some_limit(g, l);
    l->group_concurrency = some_limit(g, l);
    l->rate = some_limit(g, l);
    l->quota = some_limit(g, l);
    l->rate_period_ms = PICK(g, UNIT / 4, UNIT, 5 * UNIT / 2);
    l->quota_period_ms = PICK(g, UNIT / 4, UNIT, 5 * UNIT / 2);
    l->plan = between(g, -1, 2);
}

void generate_limits_read(struct generator *g, struct step *s)
{
    s->kind = STEP_LIMITS;
    s->limit.of = between(g, JOBQ_LIMIT_QUEUE, JOBQ_LIMIT_PLAN);
    s->limit.name = chance(g, 70) ? between(g, 0, NAME_VALUES - 1) : -1;
    s->limit.after = chance(g, 30) ? between(g, 0, NAME_VALUES - 1) : -1;
    s->want.limit = (size_t)between(g, 1, 6);
}

/* ---- running --------------------------------------------------------------------------------------------------- */

static int64_t whole_grids(int64_t ms)
{
    return ms > 0 ? 1 + ms / GRID : ms;
}

static bool is_reached(int64_t used, int64_t limit)
{
    return limit >= 0 && used >= limit;
}

static size_t write_limits(FILE *out, const struct jobq_limit_query *query)
{
    size_t reached = 0;
    for (size_t i = 0; i < query->limit_count; i++) {
        const struct jobq_limit *l = &query->limits[i];
        fprintf(out, "    limit %d %s set=%#x plan=%s depth=%" PRId64 " concurrency=%" PRId64 ",%" PRId64, l->of, l->name,
                l->set, l->plan ? l->plan : "", l->depth, l->concurrency, l->group_concurrency);
        fprintf(out, " rate=%" PRId64 "/%" PRId64 " quota=%" PRId64 "/%" PRId64 " running=%" PRId64, l->rate,
                whole_grids(l->rate_period_ms), l->quota, whole_grids(l->quota_period_ms), l->running);
        fprintf(out, " used=%" PRId64 ",%" PRId64 " wait=%" PRId64 ",%" PRId64 "\n", l->rate_used, l->quota_used,
                whole_grids(l->rate_wait_ms), whole_grids(l->quota_wait_ms));
        reached += is_reached(l->running, l->concurrency) || l->rate_wait_ms || l->quota_wait_ms;
    }
    return reached;
}

static size_t read_limits(struct side *side, FILE *out, struct jobq_limit_query *query)
{
    struct jobq_error err = { 0 };
    int status = side->backend->limits(side->stores[0], query, side->arena, &err);
    fprintf(out, "  limits=%d count=%zu\n", status, query->limit_count);
    return status == JOBQ_OK ? write_limits(out, query) : 0;
}

void run_limits(struct side *side, const struct step *s, FILE *out, struct outcome *outcome)
{
    struct jobq_limit_query query = { .size = sizeof query, .of = s->limit.of, .limit = s->want.limit };
    if (s->limit.name >= 0)
        query.name = name_value(s->limit.name);
    else if (s->limit.after >= 0)
        query.after = name_value(s->limit.after);
    outcome->reached = read_limits(side, out, &query);
}

void run_limit(struct side *side, const struct step *s, FILE *out)
{
    static const int what[] = { [JOBQ_LIMIT_QUEUE] = JOBQ_CONFIGURE_QUEUE, [JOBQ_LIMIT_GROUP] = JOBQ_CONFIGURE_GROUP,
                                [JOBQ_LIMIT_PLAN] = JOBQ_CONFIGURE_PLAN };
    const struct limit_step *l = &s->limit;
    struct jobq_error err = { 0 };
    struct jobq_settings settings = { .size = sizeof settings, .what = what[l->of], .set = s->set,
                                      .concurrency = l->concurrency, .group_concurrency = l->group_concurrency,
                                      .rate = l->rate, .rate_period_ms = l->rate_period_ms, .quota = l->quota,
                                      .quota_period_ms = l->quota_period_ms };
    if (l->name >= 0 && l->of == JOBQ_LIMIT_GROUP)
        settings.group = name_value(l->name);
    else if (l->name >= 0)
        settings.name = name_value(l->name);
    if (l->plan >= 0)
        settings.plan = name_value(l->plan);
    fprintf(out, "  configure=%d\n", side->backend->configure(side->stores[0], &settings, &err));
}

void show_limits(struct side *side, FILE *out)
{
    for (int of = JOBQ_LIMIT_QUEUE; of <= JOBQ_LIMIT_PLAN; of++) {
        struct jobq_limit_query query = { .size = sizeof query, .of = of, .limit = 100 };
        read_limits(side, out, &query);
    }
}

/* ---- aligned time ------------------------------------------------------------------------------------------------ */

/* Rates count in tenths of their period that begin at multiples of it. Every sequence begins in the middle of a GRID that
 * begins one, or two stores opened one after the other could have such a beginning between them. */
int side_align(struct side *side, int64_t now)
{
    struct jobq_error err = { 0 };
    const struct jobq_settings clock = { .size = sizeof clock, .what = JOBQ_CONFIGURE_CLOCK,
                                         .clock_ms = UNIT - now % UNIT + GRID / 2 };
    return side->backend->configure(side->stores[0], &clock, &err) == JOBQ_OK ? 0 : -1;
}
