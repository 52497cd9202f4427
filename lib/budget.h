/* SPDX-License-Identifier: MIT */
/* budget.c: when a retry may start so that retries stay within a share of all attempts. Pure. */
#ifndef JOBQ_BUDGET_H
#define JOBQ_BUDGET_H

#include <jobq/backend.h>

#include <stdbool.h>

#define BUDGET_STEP_MOST_MS 10000    /* a queue in which nothing else happens tries again so often */
#define BUDGET_LINE_MOST_MS 3600000  /* longer the line is not: it would hold jobs back long after the cause is gone */

/* Of one queue. Zero bytes: nothing happened yet. */
struct budget {
    struct jobq_gauge ended; /* attempts */
    int64_t since_ms;        /* the first of them */
    int64_t last_ms;         /* the last place that was given away */
    bool any;
};

/* An attempt ended, however. */
void budget_ended(struct budget *b, int64_t now);

/* The instant from which the next retry may start; its back-off may be longer. percent: 1 to 100. */
int64_t budget_take(struct budget *b, int32_t percent, int64_t now);

#endif
