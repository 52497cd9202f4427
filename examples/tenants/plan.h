/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_PLAN_H
#define TENANTS_PLAN_H

/* What a tenant pays for: how many of its jobs run at a time, and how many it may put in a minute. The store
 * holds both: the first in the claim, the second in the enqueue. */

#include <jobq/jobq.h>

#define PLANS 4

struct plan {
    const char *name;
    int64_t concurrency, per_minute;
};

extern const struct plan plans[PLANS];

/* The plan of this name; an unknown one counts as free. */
const struct plan *plan_of(const char *name);

/* The plans, what holds for tenants that nobody knows, and the limiter of webhooks. Returns as
 * jobq_limit_set. */
int plan_set_up(struct jobq *q);

/* From now on the tenant has this plan. */
int plan_give(struct jobq *q, const char *tenant, const char *plan);

/* "Rate limit exceeded: 10 jobs/minute", for an enqueue that was refused. */
void plan_say(struct jobq *q, const char *tenant, char *out, size_t size);

#endif
