/* SPDX-License-Identifier: MIT */
/* The retry budget of a queue: what is failing anyway gets a bounded share of what is tried, so that a service which is
 * down is not kept down by those who ask it again. Retries stand in a line; how fast it moves follows from how many
 * attempts ended lately. Pure: the time is the caller's. */
#include "budget.h"

#include "internal.h"

#define PERIOD_MS 60000
#define SPAN_MS 66000 /* what jobq_gauge_used looks at: the present tenth and ten before */
#define YOUNG_MS 1000 /* a history that is shorter counts as so long */

void budget_ended(struct budget *b, int64_t now)
{
    if (b->ended.tenth_ms == 0)
        b->since_ms = now;
    jobq_gauge_add(&b->ended, PERIOD_MS, now, 1);
}

/* One retry in so many ms. */
static int64_t step_of(const struct budget *b, int32_t percent, int64_t now)
{
    int64_t ended = jobq_gauge_used(&b->ended, PERIOD_MS, now);
    int64_t span = jobq_add_ms(now, -b->since_ms);

    if (ended <= 0)
        return BUDGET_STEP_MOST_MS;
    span = span < YOUNG_MS ? YOUNG_MS : span > SPAN_MS ? SPAN_MS : span;
    if (ended > INT64_MAX / percent)
        return 0;
    span = (span * 100 + ended * percent - 1) / (ended * percent);
    return span < BUDGET_STEP_MOST_MS ? span : BUDGET_STEP_MOST_MS;
}

int64_t budget_take(struct budget *b, int32_t percent, int64_t now)
{
    int64_t most = jobq_add_ms(now, BUDGET_LINE_MOST_MS);
    int64_t next = b->any ? jobq_add_ms(b->last_ms, step_of(b, percent, now)) : now;

    next = next < now ? now : next > most ? most : next;
    b->any = true;
    b->last_ms = next;
    return next;
}
