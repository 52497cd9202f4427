/* SPDX-License-Identifier: MIT */
/* What is told of the past: figures, and how the answers are compared. */
#include "diff.h"

#include <inttypes.h>

/* Durations are differences of instants that lie a grid apart, give or take what really passed. */
static int64_t grids(const struct jobq_durations *d)
{
    return (d->total_ms + GRID / 2) / GRID;
}

/* Two buckets that lie side by side could differ; what took nearly nothing and what took a grid do not. */
static void show_durations(FILE *out, const char *name, const struct jobq_durations *d)
{
    uint64_t below = 0;
    for (int i = 0; i < JOBQ_DURATION_BUCKETS && jobq_duration_bound(i) <= GRID / 2; i++)
        below += d->buckets[i];
    fprintf(out, " %s=%" PRIu64 ",%" PRIu64 ",%" PRId64, name, d->count, below, grids(d));
}

/* A step lies a grid behind the one before, which is more than a quarter of an hour: in the windows is what the newest did. */
void show_figures(FILE *out, const struct jobq_queue_stats *q)
{
    show_durations(out, "waited", &q->waited);
    show_durations(out, "ran", &q->ran);
    fprintf(out, " minute=%" PRIu64 ",%" PRIu64 " quarter=%" PRIu64 ",%" PRIu64, q->last_minute.completed,
            q->last_minute.failed, q->last_quarter.completed, q->last_quarter.failed);
}
