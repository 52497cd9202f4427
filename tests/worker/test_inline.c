/* SPDX-License-Identifier: MIT */
/* For the tests of programs: everything that is due, in the calling thread, in order. */
#include "kit.h"

#include <string.h>

static char order[64];
static pthread_t caller;

static int note(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;
    const struct jobq_job *job = jobq_ctx_job(ctx);
    struct jobq_spec next = { .size = sizeof next, .queue = "work", .kind = "n", .priority = -1 };

    ck_assert(pthread_equal(pthread_self(), caller));
    strncat(order, job->kind, 1);
    if (strcmp(job->kind, "e") == 0) /* enqueues one that goes first */
        ck_assert_int_eq(jobq_enqueue(k->q, &next, NULL), JOBQ_OK);
    if (strcmp(job->kind, "f") == 0 && job->attempt == 1)
        return JOBQ_RETRY;
    if (strcmp(job->kind, "c") == 0)
        ck_assert_int_eq(jobq_ctx_then(ctx, &next, NULL), JOBQ_OK);
    return JOBQ_DONE;
}

static void begin(struct kit *k)
{
    kit_open(k);
    kit_worker(k, 4, 8, 0);
    jobq_worker_handle(k->w, NULL, note, k);
    caller = pthread_self();
    order[0] = '\0';
}

static size_t run_due(struct kit *k)
{
    size_t ran;

    ck_assert_msg(jobq_worker_run_due(k->w, &ran) == JOBQ_OK, "%s", jobq_last_error()->text);
    return ran;
}

START_TEST(everything_due_in_order)
{
    struct kit k;
    size_t threads = kit_threads();
    struct jobq_spec later = { .size = sizeof later, .queue = "work", .kind = "l", .delay_ms = 600000 };

    begin(&k);
    ck_assert_uint_eq(run_due(&k), 0);
    for (const char *kind = "aebfc"; *kind; kind++)
        kit_put(&k, "work", (char[]){ *kind, '\0' });
    kit_put_spec(&k, &later);
    ck_assert_uint_eq(run_due(&k), 7);
    ck_assert_str_eq(order, "aenbfcn"); /* what a handler puts comes as early as its priority says */
    ck_assert_uint_eq(run_due(&k), 0);
    kit_tick(&k, 60000);
    ck_assert_uint_eq(run_due(&k), 1); /* the back-off is over */
    ck_assert_str_eq(order, "aenbfcnf");
    kit_tick(&k, 600000);
    ck_assert_uint_eq(run_due(&k), 1);
    ck_assert_uint_eq(kit_threads(), threads);
    kit_close(&k);
}
END_TEST

START_TEST(overdue_jobs_are_judged_and_what_others_hold_is_left)
{
    const char *const queues[] = { "work" };
    struct jobq_claim_options o = { .size = sizeof o, .queues = queues, .queue_count = 1 };
    struct kit k;
    struct jobq_jobs *jobs = NULL;

    begin(&k);
    kit_put(&k, "work", "a");
    ck_assert_int_eq(jobq_claim(k.q, &o, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 1);
    ck_assert_uint_eq(run_due(&k), 0);
    kit_tick(&k, LEASE);
    ck_assert_uint_eq(run_due(&k), 1);
    ck_assert_int_eq(kit_job(&k, &jobs->jobs[0].id)->crashes, 1);
    jobq_jobs_free(jobs);
    kit_close(&k);
}
END_TEST

static int asks_again(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;

    (void)ctx;
    return jobq_worker_run_due(k->w, NULL) == JOBQ_STATE ? JOBQ_DONE : JOBQ_GIVE_UP;
}

START_TEST(not_from_a_handler_and_then_as_an_ordinary_worker)
{
    struct kit k;
    struct jobq_id id;

    kit_open(&k);
    kit_worker(&k, 2, 2, 0);
    ck_assert_int_eq(jobq_worker_run_due(k.w, NULL), JOBQ_INVALID); /* no handler */
    jobq_worker_handle(k.w, NULL, asks_again, &k);
    id = kit_put(&k, "work", "a");
    ck_assert_uint_eq(run_due(&k), 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_put(&k, "work", "a");
    kit_put(&k, "work", "a");
    k.w->flags |= JOBQ_WORKER_DRAIN;
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    ck_assert_int_eq(atomic_load(&k.calls), 2);
    struct jobq_worker *other = kit_another(&k, k.q, "w2", 1, 1, 0);
    jobq_worker_handle(other, NULL, count_handler, &k);
    ck_assert_int_eq(jobq_worker_dispatch(other), JOBQ_OK);
    ck_assert_int_eq(jobq_worker_run_due(other, NULL), JOBQ_STATE);
    jobq_worker_destroy(other);
    kit_close(&k);
}
END_TEST

KIT_MAIN("inline", everything_due_in_order, overdue_jobs_are_judged_and_what_others_hold_is_left,
         not_from_a_handler_and_then_as_an_ordinary_worker)
