/* SPDX-License-Identifier: MIT */
/* Which queue comes first. Pure. */
#include "worker.h"

static void by_credit(const int64_t *credits, size_t count, size_t *order)
{
    for (size_t i = 1; i < count; i++) {
        size_t queue = order[i], at = i;
        for (; at > 0 && credits[order[at - 1]] < credits[queue]; at--)
            order[at] = order[at - 1];
        order[at] = queue;
    }
}

void queue_order(const int32_t *weights, int64_t *credits, size_t count, size_t *order)
{
    int64_t total = 0;

    for (size_t i = 0; i < count; i++) {
        credits[i] += weights[i];
        total += weights[i];
        order[i] = i;
    }
    by_credit(credits, count, order); /* stable: equal credits keep the order given */
    credits[order[0]] -= total;
}
