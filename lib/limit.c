/* SPDX-License-Identifier: MIT */
/* Limits: set and read. What they mean is in backend.h, "Limits and turns"; the store obeys them. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define PERIOD_MIN_MS 100
#define PERIOD_MAX_MS (INT64_C(366) * 86400000)
#define LIMITS_AT_ONCE 1000

struct limits_owner {
    struct jobq_limits limits;
    struct jobq_arena *arena;
};

static int check_supported(const struct jobq *q)
{
    if (handle_has(q, JOBQ_CAP_GROUPS) && q->backend->size > offsetof(struct jobq_backend, limits) &&
        q->backend->limits)
        return JOBQ_OK;
    return fail_with(JOBQ_UNSUPPORTED, "set", "set: the %s store has no limits of this kind", q->backend->name);
}

/* "" is a name of groups only: it stands for every group. */
static int check_limit_name(int of, const char *name)
{
    int rc = check_range("of", of, JOBQ_LIMIT_QUEUE, JOBQ_LIMIT_PLAN);

    if (rc != JOBQ_OK || (of == JOBQ_LIMIT_GROUP && name && !*name))
        return rc;
    return check_name("name", name);
}

/* ---- set -------------------------------------------------------------------------------------------------- */

static int check_rate(const char *field, int64_t value, const char *period_field, int64_t period_ms)
{
    int rc = check_range(field, value, JOBQ_LIMIT_UNSET, MAX_MS);

    return rc == JOBQ_OK && value >= 0 ? check_range(period_field, period_ms, PERIOD_MIN_MS, PERIOD_MAX_MS) : rc;
}

static int check_values(const struct jobq_limit *l)
{
    const int32_t of = l->of;
    const uint32_t fitting = of == JOBQ_LIMIT_QUEUE ? JOBQ_LIMIT_DEPTH | JOBQ_LIMIT_CONCURRENCY |
                                                          JOBQ_LIMIT_GROUP_CONCURRENCY | JOBQ_LIMIT_RATE
                                                    : JOBQ_LIMIT_CONCURRENCY | JOBQ_LIMIT_RATE | JOBQ_LIMIT_QUOTA;
    bool may_have_plan = of == JOBQ_LIMIT_GROUP && l->name && *l->name;
    int rc = JOBQ_OK;

    if (l->set & ~(fitting | (may_have_plan ? JOBQ_LIMIT_PLAN_NAME : 0)))
        return fail_with(JOBQ_INVALID, "set", "set: names a limit that %s cannot have",
                         of == JOBQ_LIMIT_QUEUE ? "a queue" : of == JOBQ_LIMIT_PLAN ? "a plan" : "this group");
    if (l->set & JOBQ_LIMIT_DEPTH)
        rc = check_range("depth", l->depth, JOBQ_LIMIT_UNSET, MAX_MS);
    if (rc == JOBQ_OK && l->set & JOBQ_LIMIT_CONCURRENCY)
        rc = check_range("concurrency", l->concurrency, JOBQ_LIMIT_UNSET, MAX_MS);
    if (rc == JOBQ_OK && l->set & JOBQ_LIMIT_GROUP_CONCURRENCY)
        rc = check_range("group_concurrency", l->group_concurrency, JOBQ_LIMIT_UNSET, MAX_MS);
    if (rc == JOBQ_OK && l->set & JOBQ_LIMIT_RATE)
        rc = check_rate("rate", l->rate, "rate_period_ms", l->rate_period_ms);
    if (rc == JOBQ_OK && l->set & JOBQ_LIMIT_QUOTA)
        rc = check_rate("quota", l->quota, "quota_period_ms", l->quota_period_ms);
    if (rc == JOBQ_OK && l->set & JOBQ_LIMIT_PLAN_NAME && l->plan && *l->plan)
        rc = check_name("plan", l->plan);
    return rc;
}

static struct jobq_settings settings_of(const struct jobq_limit *l)
{
    static const struct {
        uint32_t limit, setting;
    } bits[] = { { JOBQ_LIMIT_DEPTH, JOBQ_SETTING_DEPTH },
                 { JOBQ_LIMIT_CONCURRENCY, JOBQ_SETTING_CONCURRENCY },
                 { JOBQ_LIMIT_GROUP_CONCURRENCY, JOBQ_SETTING_GROUP_CONCURRENCY },
                 { JOBQ_LIMIT_RATE, JOBQ_SETTING_RATE },
                 { JOBQ_LIMIT_QUOTA, JOBQ_SETTING_QUOTA },
                 { JOBQ_LIMIT_PLAN_NAME, JOBQ_SETTING_PLAN } };
    struct jobq_settings s = { .size = sizeof s, .depth = l->depth, .concurrency = l->concurrency,
                               .group_concurrency = l->group_concurrency, .rate = l->rate,
                               .rate_period_ms = l->rate_period_ms, .quota = l->quota,
                               .quota_period_ms = l->quota_period_ms };

    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if (l->set & bits[i].limit)
            s.set |= bits[i].setting;
    s.what = l->of == JOBQ_LIMIT_QUEUE ? JOBQ_CONFIGURE_QUEUE
             : l->of == JOBQ_LIMIT_PLAN ? JOBQ_CONFIGURE_PLAN
                                        : JOBQ_CONFIGURE_GROUP;
    if (l->of != JOBQ_LIMIT_GROUP)
        s.name = bytes_of(l->name);
    else if (*l->name)
        s.group = bytes_of(l->name);
    if (l->plan && *l->plan)
        s.plan = bytes_of(l->plan);
    return s;
}

int jobq_limit_set(struct jobq *q, const struct jobq_limit *given)
{
    struct jobq_limit l;
    int rc = handle_check(q);

    if (rc == JOBQ_OK && !given)
        rc = fail_with(JOBQ_INVALID, "limit", "limit: is NULL");
    if (rc == JOBQ_OK)
        rc = read_struct("limit", given, given->size, offsetof(struct jobq_limit, running), &l, sizeof l);
    if (rc == JOBQ_OK)
        rc = check_limit_name(l.of, l.name);
    if (rc == JOBQ_OK)
        rc = check_values(&l);
    /* A depth alone is what every store has. */
    if (rc == JOBQ_OK && (l.of != JOBQ_LIMIT_QUEUE || l.set & ~(uint32_t)JOBQ_LIMIT_DEPTH))
        rc = check_supported(q);
    if (rc != JOBQ_OK)
        return rc;
    const struct jobq_settings s = settings_of(&l);
    return handle_configure(q, &s);
}

/* ---- read ------------------------------------------------------------------------------------------------- */

static int read_limits(struct jobq *q, struct jobq_limit_query *query, struct limits_owner *owner)
{
    struct jobq_store *store = handle_enter(q);
    int rc = q->backend->limits(store, query, owner->arena, last_error());
    handle_leave(q);
    owner->limits = (struct jobq_limits){ .size = sizeof owner->limits, .count = query->limit_count,
                                          .limits = query->limits, .now_ms = query->now_ms };
    return rc;
}

int jobq_limits(struct jobq *q, int of, const char *name, const char *after, struct jobq_limits **out)
{
    struct jobq_limit_query query = { .size = sizeof query, .of = of, .name = bytes_of(name),
                                      .after = bytes_of(after), .limit = LIMITS_AT_ONCE };
    struct limits_owner *owner;
    int rc = handle_check(q);

    *out = NULL;
    if (rc == JOBQ_OK)
        rc = name ? check_limit_name(of, name) : check_range("of", of, JOBQ_LIMIT_QUEUE, JOBQ_LIMIT_PLAN);
    if (rc == JOBQ_OK && after && *after)
        rc = check_name("after", after);
    if (rc == JOBQ_OK)
        rc = check_supported(q);
    if (rc != JOBQ_OK)
        return rc;
    owner = calloc(1, sizeof *owner);
    if (!owner || !(owner->arena = jobq_arena_create())) {
        free(owner);
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for the limits");
    }
    rc = read_limits(q, &query, owner);
    if (rc == JOBQ_OK)
        *out = &owner->limits;
    else
        jobq_limits_free(&owner->limits);
    return rc;
}

void jobq_limits_free(struct jobq_limits *limits)
{
    struct limits_owner *owner = (struct limits_owner *)(void *)limits;

    if (!owner)
        return;
    jobq_arena_destroy(owner->arena);
    free(owner);
}
