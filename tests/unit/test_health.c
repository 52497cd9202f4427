/* SPDX-License-Identifier: MIT */
/* Health: each finding at its threshold and one beyond, the seeds' sample figures, and a store from end to end. */
#include "unit.h"

#include <jobq/memory.h>

#include <string.h>

#define NOW INT64_C(1000000000)

static struct jobq_worker_stats worker = { .queues = "q", .kinds = "", .lease_ms = 30000, .seen_at_ms = NOW };
static struct jobq_queue_stats queue;
static struct jobq_jobs running;
static struct jobq_thresholds limits;
static struct jobq_arena *arena;
static struct jobq_health health;
static int64_t dead_kept;

static void setup(void)
{
    queue = (struct jobq_queue_stats){ .queue = "q" };
    running = (struct jobq_jobs){ .now_ms = NOW };
    limits = (struct jobq_thresholds){ .error_percent = 5, .pending_max = 1000, .stuck_max = 10, .stuck_critical = 5,
                                       .average_ms = 10000, .running_ms = 600000, .retention_percent = 80 };
    dead_kept = 0;
    arena = jobq_arena_create();
}

static const struct jobq_finding *judge(void)
{
    struct jobq_stats stats = { .queues = &queue, .queue_count = 1, .workers = &worker, .worker_count = 1,
                                .now_ms = NOW };

    ck_assert_int_eq(health_judge(arena, &stats, &running, &dead_kept, &limits, &health), 0);
    return health.finding_count ? health.findings : NULL;
}

static void quiet(void)
{
    const struct jobq_finding *f = judge();

    ck_assert_msg(!f, "%s", f ? f->issue : "");
    ck_assert_int_eq(health.status, JOBQ_SEVERITY_NONE);
}

static void only(int what, int severity, uint64_t value)
{
    const struct jobq_finding *f = judge();

    ck_assert_uint_eq(health.finding_count, 1);
    ck_assert_int_eq(f->what, what);
    ck_assert_int_eq(f->severity, severity);
    ck_assert_int_eq(health.status, severity);
    ck_assert_uint_eq(f->value, value);
    ck_assert_str_eq(f->queue, "q");
    ck_assert_str_ne(f->issue, "");
    ck_assert_str_ne(f->recommendation, "");
    ck_assert_str_ne(jobq_finding_name(what), "?");
}

START_TEST(the_sample_of_the_seed)
{
    setup();
    queue.present[JOBQ_READY] = 5;
    queue.present[JOBQ_RUNNING] = 2;
    queue.present[JOBQ_COMPLETED] = 140;
    queue.present[JOBQ_DEAD] = 3;
    queue.ran = (struct jobq_durations){ .count = 4, .total_ms = 5000 };
    queue.last_finished_at_ms = 77;
    quiet();
    ck_assert_uint_eq(health.total, 150);
    ck_assert_uint_eq(health.pending, 5);
    ck_assert_uint_eq(health.processing, 2);
    ck_assert_uint_eq(health.completed, 140);
    ck_assert_uint_eq(health.failed, 3);
    ck_assert_int_eq(health.average_ms, 1250);
    ck_assert_int_eq(health.last_finished_at_ms, 77);
    ck_assert(health.error_rate == 0.02);
    jobq_arena_destroy(arena);
}
END_TEST

static void expect_issue(const char *issue)
{
    const struct jobq_finding *f = judge();

    ck_assert_uint_ge(health.finding_count, 1);
    ck_assert_str_eq(f[health.finding_count - 1].issue, issue);
}

START_TEST(one_job_is_and_two_jobs_are)
{
    setup();
    queue.paused = 1;
    queue.present[JOBQ_READY] = 1;
    expect_issue("the queue is paused while 1 job is ready");
    queue.present[JOBQ_READY] = 2;
    expect_issue("the queue is paused while 2 jobs are ready");
    queue.paused = 0;
    worker.queues = "";
    expect_issue("2 jobs are ready and no living worker has the queue");
    queue.present[JOBQ_READY] = 1;
    expect_issue("1 job is ready and no living worker has the queue");
    worker.queues = "q";
    queue.present[JOBQ_READY] = 0;
    queue.present[JOBQ_DEAD] = 1;
    queue.present[JOBQ_COMPLETED] = 1;
    expect_issue("1 of 2 jobs is dead");
    queue.present[JOBQ_COMPLETED] = 0;
    expect_issue("1 of 1 job is dead");
    queue.present[JOBQ_COMPLETED] = 100;
    dead_kept = 1;
    expect_issue("1 dead job of 1 that is kept: beyond that the oldest are removed");
    jobq_arena_destroy(arena);
}
END_TEST

START_TEST(errors_above_five_percent)
{
    setup();
    queue.present[JOBQ_COMPLETED] = 95;
    queue.present[JOBQ_DEAD] = 5;
    quiet();
    queue.present[JOBQ_DEAD] = 6;
    only(JOBQ_FINDING_ERRORS, JOBQ_SEVERITY_WARNING, 5);
    limits.error_percent = 10;
    quiet();
    jobq_arena_destroy(arena);
}
END_TEST

START_TEST(pending_above_a_thousand)
{
    setup();
    queue.present[JOBQ_BLOCKED] = 300;
    queue.present[JOBQ_SCHEDULED] = 300;
    queue.present[JOBQ_READY] = 400;
    quiet();
    queue.present[JOBQ_READY]++;
    only(JOBQ_FINDING_PENDING, JOBQ_SEVERITY_WARNING, 1001);
    jobq_arena_destroy(arena);
}
END_TEST

START_TEST(stuck_above_five_is_critical)
{
    setup();
    queue.present[JOBQ_RUNNING] = 20;
    queue.stuck = 5;
    quiet();
    queue.stuck = 6;
    only(JOBQ_FINDING_STUCK, JOBQ_SEVERITY_CRITICAL, 6);
    limits.stuck_critical = 100;
    quiet();
    queue.stuck = 11;
    only(JOBQ_FINDING_STUCK, JOBQ_SEVERITY_WARNING, 11);
    jobq_arena_destroy(arena);
}
END_TEST

START_TEST(slow_above_ten_seconds_on_average)
{
    setup();
    queue.ran = (struct jobq_durations){ .count = 2, .total_ms = 20000 };
    quiet();
    queue.ran.total_ms = 20002;
    only(JOBQ_FINDING_SLOW, JOBQ_SEVERITY_WARNING, 10001);
    jobq_arena_destroy(arena);
}
END_TEST

START_TEST(nobody_works_it_or_it_is_paused)
{
    setup();
    queue.present[JOBQ_READY] = 1;
    quiet();
    worker.seen_at_ms = NOW - 90000;
    quiet();
    worker.seen_at_ms = NOW - 90001;
    only(JOBQ_FINDING_NO_WORKER, JOBQ_SEVERITY_CRITICAL, 1);
    worker.seen_at_ms = NOW;
    worker.queues = "other,qq";
    only(JOBQ_FINDING_NO_WORKER, JOBQ_SEVERITY_CRITICAL, 1);
    queue.paused = 1;
    only(JOBQ_FINDING_PAUSED, JOBQ_SEVERITY_WARNING, 1);
    queue.present[JOBQ_READY] = 0;
    quiet();
    jobq_arena_destroy(arena);
}
END_TEST

START_TEST(running_for_long_or_for_the_last_time)
{
    struct jobq_job job = { .queue = "q", .started_at_ms = NOW - 600000, .max_attempts = 3, .failures = 1 };

    setup();
    running.jobs = &job;
    running.count = 1;
    quiet();
    job.started_at_ms--;
    only(JOBQ_FINDING_LONG, JOBQ_SEVERITY_WARNING, 1);
    job.started_at_ms = NOW;
    job.failures = 2;
    only(JOBQ_FINDING_LAST_ATTEMPT, JOBQ_SEVERITY_WARNING, 1);
    job.max_attempts = 1; /* it never had another */
    job.failures = 0;
    quiet();
    jobq_arena_destroy(arena);
}
END_TEST

START_TEST(rule_14_dead_from_eighty_percent_of_retention_on)
{
    setup();
    queue.present[JOBQ_COMPLETED] = 1000000;
    queue.present[JOBQ_DEAD] = 3999;
    dead_kept = 5000;
    quiet();
    queue.present[JOBQ_DEAD] = 4000;
    only(JOBQ_FINDING_RETENTION, JOBQ_SEVERITY_WARNING, 4000);
    ck_assert_uint_eq(health.findings[0].limit, 5000);
    dead_kept = -1; /* all are kept */
    quiet();
    dead_kept = 0; /* none are */
    queue.present[JOBQ_DEAD] = 0;
    quiet();
    jobq_arena_destroy(arena);
}
END_TEST

static bool warns_of_retention(struct jobq *q, const struct jobq_thresholds *t)
{
    struct jobq_health *h;
    bool warns = false;

    ck_assert_msg(jobq_health(q, NULL, t, &h) == JOBQ_OK, "%s", jobq_last_error()->text);
    for (size_t i = 0; i < h->finding_count; i++)
        warns |= h->findings[i].what == JOBQ_FINDING_RETENTION && strcmp(h->findings[i].queue, "mail") == 0;
    jobq_health_free(h);
    return warns;
}

START_TEST(rule_14_retention_as_it_is_set)
{
    static const char *const mail = "mail";
    struct jobq_claim_options o = { .size = sizeof o, .queues = &mail, .queue_count = 1, .limit = 10 };
    struct jobq_failure f = { .size = sizeof f, .permanent = 1 };
    struct jobq_keep keep = { .size = sizeof keep, .dead = 5 };
    struct jobq_thresholds all = { .size = sizeof all, .retention_percent = 100 };
    struct jobq_spec spec = { .size = sizeof spec, .queue = "mail" };
    struct jobq_jobs *jobs = NULL;
    struct jobq *q;

    ck_assert_int_eq(jobq_open(&q, jobq_memory(), "memory:", NULL), JOBQ_OK);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(jobq_enqueue(q, &spec, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_claim(q, &o, &jobs), JOBQ_OK);
    for (size_t i = 0; i < jobs->count; i++)
        ck_assert_int_eq(jobq_fail(q, &jobs->jobs[i].id, &jobs->jobs[i].token, &f), JOBQ_OK);
    jobq_jobs_free(jobs);
    ck_assert(!warns_of_retention(q, NULL)); /* 4 of 5,000 */
    ck_assert_int_eq(jobq_keep_set(q, "mail", &keep), JOBQ_OK);
    ck_assert(warns_of_retention(q, NULL)); /* 4 of 5 */
    ck_assert(!warns_of_retention(q, &all));
    jobq_close(q);
}
END_TEST

START_TEST(of_a_store)
{
    struct jobq_thresholds bad = { .size = sizeof bad, .error_percent = 101 }, one = { .size = sizeof one,
                                                                                     .pending_max = 1 };
    struct jobq_spec spec = { .size = sizeof spec, .queue = "mail" };
    struct jobq_health *h;
    struct jobq *q;

    ck_assert_int_eq(jobq_open(&q, jobq_memory(), "memory:", NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_health(q, NULL, NULL, &h), JOBQ_OK);
    ck_assert_uint_eq(h->finding_count, 0);
    jobq_health_free(h);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(jobq_enqueue(q, &spec, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_health(q, "mail", &one, &h), JOBQ_OK);
    ck_assert_uint_eq(h->pending, 2);
    ck_assert_uint_eq(h->finding_count, 2);
    ck_assert_int_eq(h->findings[0].what, JOBQ_FINDING_PENDING);
    ck_assert_int_eq(h->findings[1].what, JOBQ_FINDING_NO_WORKER);
    jobq_health_free(h);
    ck_assert_int_eq(jobq_health(q, "other", &one, &h), JOBQ_OK);
    ck_assert_uint_eq(h->total, 0);
    jobq_health_free(h);
    ck_assert_int_eq(jobq_health(q, NULL, &bad, &h), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "error_percent");
    ck_assert_ptr_null(h);
    jobq_close(q);
}
END_TEST

UNIT_MAIN("health", the_sample_of_the_seed, one_job_is_and_two_jobs_are, errors_above_five_percent, pending_above_a_thousand,
          stuck_above_five_is_critical, slow_above_ten_seconds_on_average, nobody_works_it_or_it_is_paused,
          running_for_long_or_for_the_last_time, rule_14_dead_from_eighty_percent_of_retention_on,
          rule_14_retention_as_it_is_set, of_a_store)
