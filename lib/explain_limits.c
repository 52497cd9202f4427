/* SPDX-License-Identifier: MIT */
/* Which limit stands in the way of a ready job: read from the store as it is now, for explain.c to judge. */
#include "internal.h"

#include <stdio.h>

#define RUNNING_PAGE 1000

/* What the store says of one queue, group or plan. */
static int read_limit(struct jobq *q, int of, const char *name, struct jobq_limit *out, char plan[256])
{
    struct jobq_limits *limits;
    int rc = jobq_limits(q, of, name, NULL, &limits);

    if (rc != JOBQ_OK)
        return rc;
    *out = (struct jobq_limit){ .concurrency = JOBQ_LIMIT_UNSET, .group_concurrency = JOBQ_LIMIT_UNSET };
    if (limits->count > 0)
        *out = limits->limits[0];
    snprintf(plan, 256, "%s", out->plan ? out->plan : "");
    out->name = out->plan = NULL; /* they go with the answer */
    jobq_limits_free(limits);
    return JOBQ_OK;
}

/* How many of a group may run: its own value, else that of its plan, else that of every group. */
static int group_concurrency(struct jobq *q, const struct jobq_limit *group, const char *plan, int64_t *most)
{
    struct jobq_limit other;
    char none[256];
    int rc = JOBQ_OK;

    *most = group->concurrency;
    if (*most == JOBQ_LIMIT_UNSET && *plan && (rc = read_limit(q, JOBQ_LIMIT_PLAN, plan, &other, none)) == JOBQ_OK)
        *most = other.concurrency;
    if (rc == JOBQ_OK && *most == JOBQ_LIMIT_UNSET && (rc = read_limit(q, JOBQ_LIMIT_GROUP, "", &other, none)) == JOBQ_OK)
        *most = other.concurrency;
    return rc;
}

/* Of the group in this queue; no more than a page is looked at. */
static int count_running(struct jobq *q, const struct jobq_job *job, int64_t *running)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_query query = { .size = sizeof query, .queue = bytes_of(job->queue), .group = bytes_of(job->group),
                                .states = 1u << JOBQ_RUNNING, .limit = RUNNING_PAGE };
    int rc = read_rows(q, &query, arena);

    *running = (int64_t)query.row_count;
    jobq_arena_destroy(arena);
    return rc;
}

static void compare(struct explain_limit *limit, int64_t most, int64_t running)
{
    *limit = (struct explain_limit){ .full = most >= 0 && running >= most, .most = most, .running = running };
}

static int of_queue(struct jobq *q, struct explain_facts *f)
{
    struct jobq_limit limit;
    char plan[256];
    int64_t running = 0;
    int rc = read_limit(q, JOBQ_LIMIT_QUEUE, f->job->queue, &limit, plan);

    if (rc != JOBQ_OK)
        return rc;
    compare(&f->queue_limit, limit.concurrency, limit.running);
    f->queue_rate_ms = limit.rate_wait_ms;
    if (!*f->job->group || limit.group_concurrency < 0)
        return JOBQ_OK;
    rc = count_running(q, f->job, &running);
    compare(&f->lane_limit, limit.group_concurrency, running);
    return rc;
}

static int of_group(struct jobq *q, struct explain_facts *f)
{
    struct jobq_limit limit;
    char plan[256];
    int64_t most = JOBQ_LIMIT_NONE;
    int rc = read_limit(q, JOBQ_LIMIT_GROUP, f->job->group, &limit, plan);

    if (rc == JOBQ_OK)
        rc = group_concurrency(q, &limit, plan, &most);
    if (rc != JOBQ_OK)
        return rc;
    compare(&f->group_limit, most, limit.running);
    f->group_rate_ms = limit.rate_wait_ms;
    return JOBQ_OK;
}

int explain_limits(struct jobq *q, struct explain_facts *f)
{
    int rc = JOBQ_OK;

    if (!handle_has(q, JOBQ_CAP_GROUPS) || f->job->state != JOBQ_READY)
        return JOBQ_OK;
    rc = of_queue(q, f);
    return rc == JOBQ_OK && *f->job->group ? of_group(q, f) : rc;
}
