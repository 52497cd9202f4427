/* SPDX-License-Identifier: MIT */
/* What the queues of the statistics come to together. */
#include "unit.h"

#include <string.h>

/* Each count another one, so that none can stand for its neighbour. */
static struct jobq_queue_stats queue_of(const char *name, uint64_t first)
{
    struct jobq_queue_stats q = { .queue = name, .stuck = first + 20, .enqueued_total = first + 21,
                                  .completed_total = first + 22, .dead_total = first + 23, .cancelled_total = first + 24,
                                  .failed_total = first + 25, .completed_trimmed = first + 26,
                                  .dead_trimmed = first + 27, .cancelled_trimmed = first + 28 };
    for (int state = 0; state < JOBQ_STATE_COUNT; state++)
        q.present[state] = first + (uint64_t)state;
    q.waited = (struct jobq_durations){ .count = first, .total_ms = (int64_t)first * 10, .buckets = { [3] = first } };
    q.ran = (struct jobq_durations){ .count = first + 1, .total_ms = 7, .buckets = { [4] = first, [5] = 1 } };
    q.last_minute = (struct jobq_recent){ .completed = first, .failed = 2 };
    q.last_quarter = (struct jobq_recent){ .completed = first + 3, .failed = first + 4 };
    return q;
}

static void sums_are_right(const struct jobq_queue_stats *sum, uint64_t first)
{
    for (int state = 0; state < JOBQ_STATE_COUNT; state++)
        ck_assert_uint_eq(sum->present[state], first + 2 * (uint64_t)state);
    const uint64_t counts[] = { sum->stuck, sum->enqueued_total, sum->completed_total, sum->dead_total,
                                sum->cancelled_total, sum->failed_total, sum->completed_trimmed, sum->dead_trimmed,
                                sum->cancelled_trimmed };
    for (uint64_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        ck_assert_uint_eq(counts[i], first + 2 * (20 + i));
    ck_assert_uint_eq(sum->waited.count, first);
    ck_assert_int_eq(sum->waited.total_ms, (int64_t)first * 10);
    ck_assert_uint_eq(sum->waited.buckets[3], first);
    ck_assert_uint_eq(sum->ran.count, first + 2);
    ck_assert_int_eq(sum->ran.total_ms, 14);
    ck_assert_uint_eq(sum->ran.buckets[4], first);
    ck_assert_uint_eq(sum->ran.buckets[5], 2);
    ck_assert_uint_eq(sum->last_minute.completed, first);
    ck_assert_uint_eq(sum->last_minute.failed, 4);
    ck_assert_uint_eq(sum->last_quarter.completed, first + 6);
    ck_assert_uint_eq(sum->last_quarter.failed, first + 8);
}

START_TEST(two_queues)
{
    struct jobq_queue_stats queues[] = { queue_of("a", 100), queue_of("b", 2000) }, sum;
    const struct jobq_stats stats = { .queues = queues, .queue_count = 2 };

    queues[0].paused = queues[1].at_least = 1;
    queues[0].oldest_ready_at_ms = 500;
    queues[1].last_finished_at_ms = 900;
    queues[1].last_minute.window_ms = 61000;
    jobq_stats_total(&stats, &sum);
    sums_are_right(&sum, 2100);
    ck_assert_ptr_null(sum.queue);
    ck_assert_int_eq(sum.paused, 0);
    ck_assert_int_ne(sum.at_least, 0);
    ck_assert_int_eq(sum.oldest_ready_at_ms, 500); /* 0 is none, not the first of all */
    ck_assert_int_eq(sum.last_finished_at_ms, 900);
    ck_assert_int_eq(sum.last_minute.window_ms, 61000);
    queues[1].oldest_ready_at_ms = 400;
    queues[0].last_finished_at_ms = 800;
    jobq_stats_total(&stats, &sum);
    ck_assert_int_eq(sum.oldest_ready_at_ms, 400);
    ck_assert_int_eq(sum.last_finished_at_ms, 900);
}
END_TEST

START_TEST(no_queue)
{
    static const struct jobq_queue_stats none;
    const struct jobq_stats stats = { .queue_count = 0 };
    struct jobq_queue_stats sum;

    memset(&sum, 0xff, sizeof sum);
    jobq_stats_total(&stats, &sum);
    ck_assert_mem_eq(&sum, &none, sizeof sum);
}
END_TEST

UNIT_MAIN("total", two_queues, no_queue)
