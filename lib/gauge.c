/* SPDX-License-Identifier: MIT */
/* n per period, kept as counts of aligned tenths. Pure. */
#include <jobq/backend.h>

#define TENTHS 11

static int64_t tenth_of(int64_t period_ms)
{
    return period_ms > 10 ? period_ms / 10 + (period_ms % 10 != 0) : 1;
}

/* The number of the present tenth. A clock that stood still or a gauge from ahead of it counts as the newest. */
static int64_t present(const struct jobq_gauge *gauge, int64_t tenth_ms, int64_t now)
{
    int64_t number = now > 0 ? now / tenth_ms : 0;
    return gauge->tenth_ms == tenth_ms && gauge->newest > number ? gauge->newest : number;
}

static int64_t count_in(const struct jobq_gauge *gauge, int64_t number)
{
    if (number < 0 || number > gauge->newest || number <= gauge->newest - TENTHS)
        return 0;
    return gauge->counts[number % TENTHS];
}

/* What counts under the gauge's own tenths. */
static int64_t own_sum(const struct jobq_gauge *gauge, int64_t now)
{
    int64_t sum = 0, last = present(gauge, gauge->tenth_ms, now);
    for (int i = 0; i < TENTHS; i++)
        sum = jobq_add_ms(sum, count_in(gauge, last - i));
    return sum;
}

int64_t jobq_gauge_used(const struct jobq_gauge *gauge, int64_t period_ms, int64_t now)
{
    (void)period_ms; /* what was kept for another period counts as of now: the sum is the same */
    return gauge->tenth_ms > 0 ? own_sum(gauge, now) : 0;
}

/* Bring it to this period and this moment. */
static void turn_to(struct jobq_gauge *gauge, int64_t period_ms, int64_t now)
{
    int64_t tenth_ms = tenth_of(period_ms), last = present(gauge, tenth_ms, now);
    if (gauge->tenth_ms != tenth_ms) {
        int64_t sum = jobq_gauge_used(gauge, period_ms, now);
        *gauge = (struct jobq_gauge){ .tenth_ms = tenth_ms, .newest = last };
        gauge->counts[last % TENTHS] = sum;
        return;
    }
    for (int64_t i = gauge->newest + 1; i <= last && i <= gauge->newest + TENTHS; i++)
        gauge->counts[i % TENTHS] = 0;
    if (last > gauge->newest + TENTHS)
        for (int i = 0; i < TENTHS; i++)
            gauge->counts[i] = 0;
    gauge->newest = last;
}

void jobq_gauge_add(struct jobq_gauge *gauge, int64_t period_ms, int64_t now, int64_t count)
{
    turn_to(gauge, period_ms, now);
    int64_t *cell = &gauge->counts[gauge->newest % TENTHS];
    *cell = jobq_add_ms(*cell, count);
}

int64_t jobq_gauge_wait(const struct jobq_gauge *gauge, int64_t n, int64_t period_ms, int64_t now)
{
    struct jobq_gauge g = *gauge;
    turn_to(&g, period_ms, now);
    int64_t left = jobq_gauge_used(&g, period_ms, now);
    if (left < n)
        return 0;
    if (n <= 0)
        return period_ms;
    for (int64_t number = g.newest - TENTHS + 1; number <= g.newest; number++) {
        left -= count_in(&g, number);
        if (left < n)
            return jobq_add_ms((number + TENTHS) * g.tenth_ms, -now);
    }
    return period_ms; /* not reached: without any count left is 0 */
}
