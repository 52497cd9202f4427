/* SPDX-License-Identifier: MIT */
/* The verbs for everything that a filter names: in bounded steps, counted, tried dry, at a rate. */
#include "unit.h"

#include <jobq/memory.h>

#include <string.h>

static struct jobq *q;
static const char *const queue = "q";

static void setup(void)
{
    ck_assert_int_eq(jobq_open(&q, jobq_memory(), "memory:", NULL), JOBQ_OK);
}

static void put_many(size_t count, const char *kind)
{
    struct jobq_spec specs[500];

    ck_assert_uint_le(count, 500);
    for (size_t i = 0; i < count; i++)
        specs[i] = (struct jobq_spec){ .size = sizeof specs[i], .queue = queue, .kind = kind };
    ck_assert_int_eq(jobq_enqueue_many(q, specs, count, NULL), JOBQ_OK);
}

static struct jobq_jobs *claim(size_t limit)
{
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .limit = limit };
    struct jobq_jobs *jobs = NULL;

    ck_assert_msg(jobq_claim(q, &o, &jobs) == JOBQ_OK, "%s", jobq_last_error()->text);
    return jobs;
}

/* Claim so many; they die (`result` NULL) or complete with it. */
static void end_many(size_t count, const char *result)
{
    struct jobq_failure f = { .size = sizeof f, .permanent = 1 };
    struct jobq_jobs *jobs = claim(count);

    ck_assert_uint_eq(jobs->count, count);
    for (size_t i = 0; i < count; i++) {
        const struct jobq_job *job = &jobs->jobs[i];
        int rc = result ? jobq_ack(q, &job->id, &job->token, *result ? result : NULL, strlen(result))
                        : jobq_fail(q, &job->id, &job->token, &f);
        ck_assert_int_eq(rc, JOBQ_OK);
    }
    jobq_jobs_free(jobs);
}

static size_t count_state(int state)
{
    struct jobq_stats *stats = NULL;
    size_t count;

    ck_assert_int_eq(jobq_stats(q, queue, &stats), JOBQ_OK);
    count = (size_t)stats->queues[0].present[state];
    jobq_stats_free(stats);
    return count;
}

START_TEST(rule_6_cancel_by_filter)
{
    struct jobq_filter filter = { .size = sizeof filter, .queue = queue, .kind = "x" };
    struct jobq_bulk_options o = { .size = sizeof o, .dry_run = 1 };
    struct jobq_bulk bulk = { .size = sizeof bulk };

    setup();
    put_many(300, "x");
    put_many(5, "y");
    jobq_jobs_free(claim(10));
    ck_assert_int_eq(jobq_bulk_cancel(q, &filter, &o, &bulk), JOBQ_OK);
    ck_assert_uint_eq(bulk.matched, 300);
    ck_assert_uint_eq(bulk.done, 0);
    ck_assert_uint_eq(count_state(JOBQ_CANCELLED), 0);
    ck_assert_int_eq(jobq_bulk_cancel(q, &filter, NULL, &bulk), JOBQ_OK);
    ck_assert_uint_eq(bulk.matched, 300);
    ck_assert_uint_eq(bulk.done, 300); /* ten of them were told */
    ck_assert_uint_eq(count_state(JOBQ_CANCELLED), 290);
    ck_assert_uint_eq(count_state(JOBQ_RUNNING), 10);
    ck_assert_uint_eq(count_state(JOBQ_READY), 5);
    o = (struct jobq_bulk_options){ .size = sizeof o, .flags = JOBQ_CANCEL_HARD };
    ck_assert_int_eq(jobq_bulk_cancel(q, &filter, &o, &bulk), JOBQ_OK);
    ck_assert_uint_eq(bulk.done, 10);
    ck_assert_uint_eq(count_state(JOBQ_RUNNING), 0);
    ck_assert_int_eq(jobq_bulk_cancel(q, &filter, &o, &bulk), JOBQ_OK);
    ck_assert_uint_eq(bulk.matched, 0);
    jobq_close(q);
}
END_TEST

START_TEST(bounded_and_continued)
{
    struct jobq_filter filter = { .size = sizeof filter, .queue = queue };
    struct jobq_bulk_options o = { .size = sizeof o, .max = 120 };
    struct jobq_bulk bulk = { .size = sizeof bulk };
    struct jobq_id last;
    size_t done = 0, steps = 0;

    setup();
    put_many(310, "x");
    do {
        ck_assert_int_eq(jobq_bulk_drop(q, &filter, &o, &bulk), JOBQ_OK);
        ck_assert_uint_le(bulk.matched, 120);
        done += bulk.done;
        last = bulk.last;
        filter.after = &last;
        steps++;
    } while (bulk.matched);
    ck_assert_uint_eq(done, 310);
    ck_assert_uint_eq(steps, 4);
    jobq_close(q);
}
END_TEST

static int order_instants(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* No period of 1,000 ms holds more than 7 of those that become ready. */
START_TEST(rule_8_redrive_at_a_rate)
{
    struct jobq_filter filter = { .size = sizeof filter, .states = 1u << JOBQ_DEAD };
    struct jobq_bulk_options o = { .size = sizeof o, .rate = 7, .rate_period_ms = 1000 };
    struct jobq_bulk bulk = { .size = sizeof bulk };
    struct jobq_jobs *jobs = NULL;
    int64_t at[400];

    setup();
    put_many(400, "x");
    end_many(400, NULL);
    ck_assert_int_eq(jobq_bulk_redrive(q, &filter, &o, &bulk), JOBQ_OK);
    ck_assert_uint_eq(bulk.done, 400);
    filter = (struct jobq_filter){ .size = sizeof filter, .limit = 1000 };
    ck_assert_int_eq(jobq_list(q, &filter, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 400);
    for (size_t i = 0; i < 400; i++)
        at[i] = jobs->jobs[i].run_at_ms;
    ck_assert_int_le(at[0], jobs->now_ms); /* the first at once */
    jobq_jobs_free(jobs);
    qsort(at, 400, sizeof *at, order_instants);
    for (size_t i = 7; i < 400; i++)
        ck_assert_int_ge(at[i] - at[i - 7], 1000);
    ck_assert_int_lt(at[249] - at[0], 36000); /* one page: as fast as the rate allows */
    jobq_close(q);
}
END_TEST

START_TEST(rule_14_results_have_a_shorter_life)
{
    struct jobq_filter filter = { .size = sizeof filter, .queue = queue, .older_ms = 60000 };
    struct jobq_bulk bulk = { .size = sizeof bulk };
    struct jobq_jobs *jobs = NULL;
    size_t with = 0;

    setup();
    put_many(303, "x");
    end_many(300, "result");
    end_many(1, "");
    jobq_clock_advance(q, 60000);
    end_many(2, "fresh");
    ck_assert_int_eq(jobq_bulk_forget(q, &filter, NULL, &bulk), JOBQ_OK);
    ck_assert_uint_eq(bulk.matched, 301);
    ck_assert_uint_eq(bulk.done, 300);
    filter.older_ms = 0;
    filter.limit = 1000;
    ck_assert_int_eq(jobq_list(q, &filter, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 303);
    for (size_t i = 0; i < jobs->count; i++) {
        ck_assert_int_eq(jobs->jobs[i].state, JOBQ_COMPLETED);
        with += jobs->jobs[i].result.data != NULL;
    }
    ck_assert_uint_eq(with, 2);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(rule_16_bad_options_are_named)
{
    struct jobq_bulk_options o = { .size = sizeof o, .rate = 7 };
    struct jobq_bulk bulk = { .size = sizeof bulk.size };

    setup();
    ck_assert_int_eq(jobq_bulk_redrive(q, NULL, &o, NULL), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "rate_period_ms");
    o.rate_period_ms = 1000;
    ck_assert_int_eq(jobq_bulk_cancel(q, NULL, &o, NULL), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "rate");
    o = (struct jobq_bulk_options){ .size = sizeof o, .flags = 2 };
    ck_assert_int_eq(jobq_bulk_cancel(q, NULL, &o, NULL), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "flags");
    o.flags = JOBQ_CANCEL_HARD;
    ck_assert_int_eq(jobq_bulk_drop(q, NULL, &o, NULL), JOBQ_INVALID);
    ck_assert_int_eq(jobq_bulk_drop(q, NULL, NULL, &bulk), JOBQ_INVALID);
    jobq_close(q);
}
END_TEST

UNIT_MAIN("bulk", rule_6_cancel_by_filter, bounded_and_continued, rule_8_redrive_at_a_rate,
          rule_14_results_have_a_shorter_life, rule_16_bad_options_are_named)
