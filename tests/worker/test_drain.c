/* SPDX-License-Identifier: MIT */
/* A draining worker: it ends when nothing is left that it could do, and says what it waits for and leaves. */
#include "kit.h"

#include <string.h>

static void expect_only(int kind, const char *text)
{
    ck_assert_int_eq(kit_heard.count, 1);
    kit_expect_heard(0, kind, text);
}

static void drainer(struct kit *k)
{
    kit_open(k);
    kit_worker(k, 1, 1, JOBQ_WORKER_DRAIN);
    ck_assert_int_eq(jobq_worker_notify(k->w, kit_listen, NULL), JOBQ_OK);
}

/* Turns and deadlines until it has ended; not longer than `most_ms`. */
static void live_to_the_end(struct kit *k, int64_t most_ms)
{
    int64_t end = atomic_load(&k->clock) + most_ms;
    int rc;

    while ((rc = jobq_worker_dispatch(k->w)) != JOBQ_ALREADY) {
        ck_assert_int_eq(rc, JOBQ_OK);
        kit_until_ended(k);
        int64_t next = jobq_worker_next_ms(k->w);
        if (next > 0)
            kit_tick(k, next);
        ck_assert_int_le(atomic_load(&k->clock), end);
    }
}

START_TEST(a_paused_queue_is_left)
{
    struct kit k;

    drainer(&k);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_put(&k, "work", "a");
    kit_put(&k, "work", "a");
    ck_assert_int_eq(jobq_pause(k.q, "work"), JOBQ_OK);
    live_to_the_end(&k, LEASE);
    expect_only(JOBQ_NOTICE_LEFT, "queue work is paused: 2 ready jobs are left");
    kit_close(&k);
}
END_TEST

START_TEST(kinds_without_a_handler_are_left)
{
    struct kit k;
    struct jobq_id id;

    drainer(&k);
    jobq_worker_handle(k.w, "mine", count_handler, &k);
    kit_put(&k, "work", "theirs");
    id = kit_put(&k, "work", "mine");
    kit_put(&k, "other", "theirs"); /* not its queue: not its affair */
    live_to_the_end(&k, LEASE);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    expect_only(JOBQ_NOTICE_LEFT, "queue work: 1 ready job is left of kind theirs");
    kit_close(&k);
}
END_TEST

START_TEST(an_end_with_nothing_left_is_not_told)
{
    struct kit k;
    struct jobq_spec later = {.size = sizeof later, .queue = "work", .delay_ms = 3600000};

    drainer(&k);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_put(&k, "work", "a");
    kit_put_spec(&k, &later);
    live_to_the_end(&k, LEASE);
    ck_assert_int_eq(atomic_load(&k.calls), 1);
    ck_assert_int_eq(kit_heard.count, 0);
    kit_close(&k);
}
END_TEST

static void claim_as(struct kit *k, const char *name, size_t count)
{
    const char *const queues[] = {"work"};
    struct jobq_claim_options o = {
        .size = sizeof o, .queues = queues, .queue_count = 1, .limit = count, .worker = name};
    struct jobq_jobs *jobs = NULL;

    ck_assert_int_eq(jobq_claim(k->q, &o, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, count);
    jobq_jobs_free(jobs);
}

START_TEST(a_lease_that_is_waited_for_is_told_once) /* rule 4: and then the job is done here */
{
    struct kit k;

    drainer(&k);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    for (int i = 0; i < 3; i++)
        kit_put(&k, "work", "a");
    claim_as(&k, "the-dead", 3);
    live_to_the_end(&k, 4 * LEASE);
    ck_assert_int_eq(atomic_load(&k.calls), 3);
    expect_only(JOBQ_NOTICE_LEASES, "waiting for the lease of 3 jobs held by the-dead until 20");
    ck_assert_ptr_nonnull(strstr(kit_heard.texts[0], "Z"));
    kit_close(&k);
}
END_TEST

START_TEST(each_holder_is_told)
{
    struct kit k;

    drainer(&k);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    for (int i = 0; i < 3; i++)
        kit_put(&k, "work", "a");
    claim_as(&k, "one", 1);
    claim_as(&k, "two", 2);
    live_to_the_end(&k, 4 * LEASE);
    ck_assert_int_eq(kit_heard.count, 2);
    for (int i = 0; i < 2; i++) {
        bool first = strstr(kit_heard.texts[i], "1 job held by one") != NULL;
        ck_assert(first != (strstr(kit_heard.texts[i], "2 jobs held by two") != NULL));
    }
    kit_close(&k);
}
END_TEST

START_TEST(a_queue_paused_while_its_last_job_runs_elsewhere)
{
    struct kit k;

    drainer(&k);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_put(&k, "work", "a");
    claim_as(&k, "the-dead", 1);
    ck_assert_int_eq(jobq_pause(k.q, "work"), JOBQ_OK);
    live_to_the_end(&k, 4 * LEASE); /* swept, ready again, and nobody may take it */
    ck_assert_int_eq(kit_heard.count, 2);
    ck_assert_int_eq(kit_heard.kinds[1], JOBQ_NOTICE_LEFT);
    kit_close(&k);
}
END_TEST

KIT_MAIN("drain", a_paused_queue_is_left, kinds_without_a_handler_are_left,
         an_end_with_nothing_left_is_not_told, a_lease_that_is_waited_for_is_told_once, each_holder_is_told,
         a_queue_paused_while_its_last_job_runs_elsewhere)
