/* SPDX-License-Identifier: MIT */
/* What queues come to together. */
#include "internal.h"

static void add_durations(struct jobq_durations *sum, const struct jobq_durations *d)
{
    sum->count += d->count;
    sum->total_ms = jobq_add_ms(sum->total_ms, d->total_ms);
    for (int i = 0; i < JOBQ_DURATION_BUCKETS; i++)
        sum->buckets[i] += d->buckets[i];
}

static void add_recent(struct jobq_recent *sum, const struct jobq_recent *r)
{
    if (sum->window_ms < r->window_ms) /* they are of one clock: a queue that has none yet says 0 */
        sum->window_ms = r->window_ms;
    sum->completed += r->completed;
    sum->failed += r->failed;
}

static void add_counts(struct jobq_queue_stats *sum, const struct jobq_queue_stats *q)
{
    for (int state = 0; state < JOBQ_STATE_COUNT; state++)
        sum->present[state] += q->present[state];
    sum->stuck += q->stuck;
    sum->enqueued_total += q->enqueued_total;
    sum->completed_total += q->completed_total;
    sum->dead_total += q->dead_total;
    sum->cancelled_total += q->cancelled_total;
    sum->failed_total += q->failed_total;
    sum->completed_trimmed += q->completed_trimmed;
    sum->dead_trimmed += q->dead_trimmed;
    sum->cancelled_trimmed += q->cancelled_trimmed;
    sum->at_least |= q->at_least;
}

static void add_instants(struct jobq_queue_stats *sum, const struct jobq_queue_stats *q)
{
    if (q->oldest_ready_at_ms && (!sum->oldest_ready_at_ms || q->oldest_ready_at_ms < sum->oldest_ready_at_ms))
        sum->oldest_ready_at_ms = q->oldest_ready_at_ms;
    if (q->last_finished_at_ms > sum->last_finished_at_ms)
        sum->last_finished_at_ms = q->last_finished_at_ms;
}

void jobq_stats_total(const struct jobq_stats *stats, struct jobq_queue_stats *out)
{
    *out = (struct jobq_queue_stats){ .queue = NULL };
    for (size_t i = 0; i < stats->queue_count; i++) {
        const struct jobq_queue_stats *q = &stats->queues[i];
        add_counts(out, q);
        add_instants(out, q);
        add_durations(&out->waited, &q->waited);
        add_durations(&out->ran, &q->ran);
        add_recent(&out->last_minute, &q->last_minute);
        add_recent(&out->last_quarter, &q->last_quarter);
    }
}
