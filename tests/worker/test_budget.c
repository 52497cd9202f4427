/* SPDX-License-Identifier: MIT */
/* The retry budget of a worker: what its handlers fail comes back in a line, for each queue by itself. */
#include "kit.h"

#include <string.h>

#define JOBS 24
#define BACK_OFF 1000

static int firsts, retries, others;

static int fails_once(struct jobq_ctx *ctx, void *user)
{
    const struct jobq_job *job = jobq_ctx_job(ctx);

    (void)user;
    if (strcmp(job->queue, "work") != 0)
        others++;
    else if (job->attempt == 1)
        firsts++;
    else
        retries++;
    return job->attempt == 1 ? JOBQ_RETRY : JOBQ_DONE;
}

static void put(struct kit *k, const char *queue)
{
    struct jobq_backoff back_off = { .size = sizeof back_off, .kind = JOBQ_BACKOFF_FIXED, .base_ms = BACK_OFF };
    struct jobq_spec spec = { .size = sizeof spec, .queue = queue, .backoff = &back_off };

    kit_put_spec(k, &spec);
}

static void begin(struct kit *k, int percent)
{
    static const char *const queues[] = { "work", "other" };
    struct jobq_worker_options o = { .size = sizeof o, .queues = queues, .queue_count = 2, .retry_percent = percent };

    kit_open(k);
    ck_assert_int_eq(jobq_worker_create(&k->w, k->q, &o), JOBQ_OK);
    kit_clock_of(k, k->w);
    jobq_worker_handle(k->w, NULL, fails_once, k);
    firsts = retries = others = 0;
    for (int i = 0; i < JOBS; i++)
        put(k, "work");
}

static void run_due(struct kit *k)
{
    ck_assert_msg(jobq_worker_run_due(k->w, NULL) == JOBQ_OK, "%s", jobq_last_error()->text);
}

START_TEST(rule_3_a_budget_lets_retries_come_one_by_one)
{
    struct kit k;
    int before = 0;

    begin(&k, 25);
    run_due(&k);
    ck_assert_int_eq(firsts, JOBS);
    for (int second = 1; second <= 3; second++) {
        kit_tick(&k, 1000);
        run_due(&k);
    }
    ck_assert_int_ge(retries, 1); /* the first did not wait */
    ck_assert_int_le(retries, 3); /* 24 attempts in the first second */
    for (int i = 0; i < 6; i++) {
        before = retries;
        kit_tick(&k, 3000);
        run_due(&k);
        ck_assert_int_le(retries - before, 19); /* in a second at most a quarter of what was tried in one */
    }
    ck_assert_int_eq(retries, JOBS);
    kit_close(&k);
}
END_TEST

START_TEST(rule_3_another_queue_has_its_own)
{
    struct kit k;

    begin(&k, 1);
    run_due(&k);
    put(&k, "other");
    run_due(&k);
    ck_assert_int_eq(others, 1);
    kit_tick(&k, BACK_OFF);
    run_due(&k);
    ck_assert_int_eq(others, 2); /* it has nobody before it */
    ck_assert_int_eq(retries, 1);
    kit_close(&k);
}
END_TEST

START_TEST(rule_3_without_a_budget_the_back_off_alone_counts)
{
    struct kit k;

    begin(&k, 0);
    run_due(&k);
    kit_tick(&k, BACK_OFF);
    run_due(&k);
    ck_assert_int_eq(retries, JOBS);
    kit_close(&k);
}
END_TEST

KIT_MAIN("budget", rule_3_a_budget_lets_retries_come_one_by_one, rule_3_another_queue_has_its_own,
         rule_3_without_a_budget_the_back_off_alone_counts)
