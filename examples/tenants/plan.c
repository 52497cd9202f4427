/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MINUTE_MS         60000
#define WEBHOOKS_A_SECOND 100

const struct plan plans[PLANS] = {
    {"free", 2, 10}, {"starter", 5, 50}, {"pro", 10, 200}, {"enterprise", 20, 1000}};

const struct plan *plan_of(const char *name)
{
    for (size_t i = 0; i < PLANS; i++)
        if (strcmp(plans[i].name, name) == 0)
            return &plans[i];
    return &plans[0];
}

static int set_values(struct jobq *q, int32_t of, const char *name, const struct plan *plan)
{
    const struct jobq_limit limit = {.size = sizeof(limit),
                                     .of = of,
                                     .name = name,
                                     .set = JOBQ_LIMIT_CONCURRENCY | JOBQ_LIMIT_QUOTA,
                                     .concurrency = plan->concurrency,
                                     .quota = plan->per_minute,
                                     .quota_period_ms = MINUTE_MS};

    return jobq_limit_set(q, &limit);
}

int plan_set_up(struct jobq *q)
{
    const struct jobq_limit limiter = {.size = sizeof(limiter),
                                       .of = JOBQ_LIMIT_QUEUE,
                                       .name = "webhook",
                                       .set = JOBQ_LIMIT_RATE,
                                       .rate = WEBHOOKS_A_SECOND,
                                       .rate_period_ms = 1000};
    int status = jobq_limit_set(q, &limiter);

    for (size_t i = 0; i < PLANS && status >= 0; i++)
        status = set_values(q, JOBQ_LIMIT_PLAN, plans[i].name, &plans[i]);
    return status < 0 ? status : set_values(q, JOBQ_LIMIT_GROUP, "", &plans[0]);
}

int plan_give(struct jobq *q, const char *tenant, const char *plan)
{
    const struct jobq_limit limit = {.size = sizeof(limit),
                                     .of = JOBQ_LIMIT_GROUP,
                                     .name = tenant,
                                     .set = JOBQ_LIMIT_PLAN_NAME,
                                     .plan = plan_of(plan)->name};

    return jobq_limit_set(q, &limit);
}

/* The first of these that has a quota: the tenant itself, its plan, every tenant. */
static int find_quota(struct jobq *q, int of, const char *name, char plan[256], int64_t *out)
{
    struct jobq_limits *limits = NULL;
    int found = 0;

    if (jobq_limits(q, of, name, NULL, &limits) >= 0 && limits->count > 0) {
        const struct jobq_limit *l = &limits->limits[0];
        found = (l->set & JOBQ_LIMIT_QUOTA) != 0 && l->quota >= 0;
        *out = l->quota;
        if (plan)
            snprintf(plan, 256, "%s", l->plan ? l->plan : "");
    }
    jobq_limits_free(limits);
    return found;
}

void plan_say(struct jobq *q, const char *tenant, char *out, size_t size)
{
    char plan[256] = "";
    int64_t quota = 0;

    if (find_quota(q, JOBQ_LIMIT_GROUP, tenant, plan, &quota) ||
        (*plan && find_quota(q, JOBQ_LIMIT_PLAN, plan, NULL, &quota)) ||
        find_quota(q, JOBQ_LIMIT_GROUP, "", NULL, &quota))
        snprintf(out, size, "Rate limit exceeded: %" PRId64 " jobs/minute", quota);
    else
        snprintf(out, size, "Rate limit exceeded");
}
