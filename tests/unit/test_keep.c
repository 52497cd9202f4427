/* SPDX-License-Identifier: MIT */
/* Rule 14: how long jobs that ended stay, as an application sets and reads it. */
#include "unit.h"

#include <jobq/backend.h>
#include <jobq/memory.h>

#include <stdio.h>
#include <string.h>

static struct jobq *q;

static void open_with(const struct jobq_keep *keep)
{
    struct jobq_options o = { .size = sizeof o, .keep = keep };

    ck_assert_msg(jobq_open(&q, jobq_memory(), "memory:", &o) == JOBQ_OK, "%s", jobq_last_error()->text);
}

static struct jobq_keep read_keep(const char *queue)
{
    struct jobq_keep out = { .size = sizeof out };

    ck_assert_msg(jobq_keep_get(q, queue, &out) == JOBQ_OK, "%s", jobq_last_error()->text);
    return out;
}

static void put(const char *queue)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = queue };

    ck_assert_int_eq(jobq_enqueue(q, &spec, NULL), JOBQ_OK);
}

/* Claim one and complete it, or fail it for good. */
static void end_one(const char *queue, bool completes)
{
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1 };
    struct jobq_failure f = { .size = sizeof f, .permanent = 1 };
    struct jobq_jobs *jobs = NULL;

    put(queue);
    ck_assert_int_eq(jobq_claim(q, &o, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 1);
    if (completes)
        ck_assert_int_eq(jobq_ack(q, &jobs->jobs[0].id, &jobs->jobs[0].token, NULL, 0), JOBQ_OK);
    else
        ck_assert_int_eq(jobq_fail(q, &jobs->jobs[0].id, &jobs->jobs[0].token, &f), JOBQ_OK);
    jobq_jobs_free(jobs);
}

static uint64_t present(const char *queue, int state)
{
    struct jobq_stats *stats = NULL;
    uint64_t count;

    ck_assert_int_eq(jobq_stats(q, queue, &stats), JOBQ_OK);
    count = stats->queue_count ? stats->queues[0].present[state] : 0;
    jobq_stats_free(stats);
    return count;
}

START_TEST(rule_14_the_defaults_are_those_of_the_handle)
{
    const struct jobq_keep mine = { .size = sizeof mine, .completed = 2, .dead = JOBQ_KEEP_ALL,
                                    .cancelled_ms = 5000 };

    open_with(NULL);
    struct jobq_keep keep = read_keep("a");
    ck_assert_int_eq(keep.completed, 1000);
    ck_assert_int_eq(keep.dead, 5000);
    ck_assert_int_eq(keep.cancelled, 1000);
    ck_assert_int_eq(keep.dead_ms, JOBQ_KEEP_ALL);
    ck_assert_int_eq(keep.own, 0);
    jobq_close(q);
    open_with(&mine);
    keep = read_keep("a");
    ck_assert_int_eq(keep.completed, 2);
    ck_assert_int_eq(keep.dead, JOBQ_KEEP_ALL);
    ck_assert_int_eq(keep.cancelled, 1000);
    ck_assert_int_eq(keep.cancelled_ms, 5000);
    for (int i = 0; i < 5; i++)
        end_one("a", true);
    ck_assert_uint_eq(present("a", JOBQ_COMPLETED), 2);
    jobq_close(q);
}
END_TEST

START_TEST(rule_14_a_queue_has_its_own)
{
    struct jobq_keep keep = { .size = sizeof keep, .completed = JOBQ_KEEP_NONE, .dead = 3, .dead_ms = 60000 };

    open_with(NULL);
    put("b"); /* another queue with settings, before and behind */
    ck_assert_int_eq(jobq_keep_set(q, "c", &keep), JOBQ_OK);
    ck_assert_int_eq(jobq_keep_set(q, "a", &(struct jobq_keep){ .size = sizeof keep, .dead = 7 }), JOBQ_OK);
    keep = read_keep("c");
    ck_assert_int_eq(keep.own, 1);
    ck_assert_int_eq(keep.completed, JOBQ_KEEP_NONE);
    ck_assert_int_eq(keep.completed_ms, JOBQ_KEEP_ALL);
    ck_assert_int_eq(keep.dead, 3);
    ck_assert_int_eq(keep.dead_ms, 60000);
    ck_assert_int_eq(keep.cancelled, 1000); /* taken from the default */
    ck_assert_int_eq(read_keep("a").dead, 7);
    ck_assert_int_eq(read_keep("b").own, 0);
    for (int i = 0; i < 5; i++) {
        end_one("c", true);
        end_one("c", false);
    }
    ck_assert_uint_eq(present("c", JOBQ_COMPLETED), 0);
    ck_assert_uint_eq(present("c", JOBQ_DEAD), 3);
    ck_assert_int_eq(jobq_clock_advance(q, 60001), JOBQ_OK);
    end_one("c", false); /* an exchange that ends one of its jobs removes what is too old */
    ck_assert_uint_eq(present("c", JOBQ_DEAD), 1);
    ck_assert_int_eq(jobq_keep_set(q, "c", NULL), JOBQ_OK);
    ck_assert_int_eq(read_keep("c").dead, 5000);
    jobq_close(q);
}
END_TEST

static bool has_result(const struct jobq_id *id)
{
    struct jobq_jobs *jobs = NULL;

    ck_assert_int_eq(jobq_get(q, id, &jobs), JOBQ_OK);
    bool found = jobs->jobs[0].result.data != NULL;
    ck_assert_int_eq(jobs->jobs[0].state, JOBQ_COMPLETED);
    jobq_jobs_free(jobs);
    return found;
}

static struct jobq_id completed_with_result(const char *queue)
{
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1 };
    struct jobq_jobs *jobs = NULL;

    put(queue);
    ck_assert_int_eq(jobq_claim(q, &o, &jobs), JOBQ_OK);
    struct jobq_id id = jobs->jobs[0].id;
    ck_assert_int_eq(jobq_ack(q, &id, &jobs->jobs[0].token, "r", 1), JOBQ_OK);
    jobq_jobs_free(jobs);
    return id;
}

START_TEST(rule_14_results_may_go_before_their_jobs)
{
    const struct jobq_keep mine = { .size = sizeof mine, .results_ms = 60000 };
    struct jobq_keep keep = { .size = sizeof keep, .results_ms = JOBQ_KEEP_ALL };

    open_with(&mine);
    ck_assert_int_eq(read_keep("a").results_ms, 60000);
    ck_assert_int_eq(jobq_keep_set(q, "b", &keep), JOBQ_OK);
    ck_assert_int_eq(read_keep("b").results_ms, JOBQ_KEEP_ALL);
    struct jobq_id a = completed_with_result("a"), b = completed_with_result("b");
    ck_assert(has_result(&a) && has_result(&b));
    ck_assert_int_eq(jobq_clock_advance(q, 60001), JOBQ_OK);
    ck_assert(has_result(&a)); /* as with jobs: with an exchange that ends some of this queue */
    completed_with_result("a");
    completed_with_result("b");
    ck_assert(!has_result(&a) && has_result(&b));
    jobq_close(q);
    open_with(NULL);
    ck_assert_int_eq(read_keep("a").results_ms, JOBQ_KEEP_ALL);
    jobq_close(q);
}
END_TEST

/* The memory store as one that knows one life only. */
START_TEST(rule_14_a_store_may_not_know_results)
{
    struct jobq_backend plain = *jobq_memory();
    const struct jobq_keep keep = { .size = sizeof keep, .results_ms = 60000 };
    struct jobq_options o = { .size = sizeof o, .keep = &keep };

    plain.capabilities &= ~(uint32_t)JOBQ_CAP_RESULTS;
    ck_assert_int_eq(jobq_open(&q, &plain, "memory:", &o), JOBQ_UNSUPPORTED);
    ck_assert_str_eq(jobq_last_error()->field, "results_ms");
    ck_assert_int_eq(jobq_open(&q, &plain, "memory:", NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_keep_set(q, "a", &keep), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_keep_set(q, "a", NULL), JOBQ_OK);
    jobq_close(q);
}
END_TEST

START_TEST(rule_14_among_many_queues)
{
    char name[16];

    open_with(NULL);
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "q%03d", i);
        ck_assert_int_eq(jobq_keep_set(q, name, &(struct jobq_keep){ .size = sizeof(struct jobq_keep), .dead = i + 1 }),
                         JOBQ_OK);
    }
    ck_assert_int_eq(read_keep("q000").dead, 1);
    ck_assert_int_eq(read_keep("q599").dead, 600);
    ck_assert_int_eq(read_keep("z").own, 0);
    jobq_close(q);
}
END_TEST

START_TEST(rule_16_bad_values_are_named)
{
    struct jobq_keep keep = { .size = sizeof keep, .dead = -3 }, out = { .size = 4 };

    open_with(NULL);
    ck_assert_int_eq(jobq_keep_set(q, "a", &keep), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "dead");
    keep = (struct jobq_keep){ .size = sizeof keep, .completed_ms = JOBQ_KEEP_NONE };
    ck_assert_int_eq(jobq_keep_set(q, "a", &keep), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "completed_ms");
    ck_assert_int_eq(jobq_keep_set(q, "", NULL), JOBQ_INVALID);
    ck_assert_int_eq(jobq_keep_get(q, "a", &out), JOBQ_INVALID);
    jobq_close(q);
    struct jobq_options o = { .size = sizeof o, .keep = &keep };
    ck_assert_int_eq(jobq_open(&q, jobq_memory(), "memory:", &o), JOBQ_INVALID);
    ck_assert_ptr_null(q);
}
END_TEST

UNIT_MAIN("keep", rule_14_the_defaults_are_those_of_the_handle, rule_14_a_queue_has_its_own,
          rule_14_results_may_go_before_their_jobs, rule_14_a_store_may_not_know_results,
          rule_14_among_many_queues, rule_16_bad_values_are_named)
