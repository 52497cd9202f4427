/* SPDX-License-Identifier: MIT */
/* Hooks: what a handle does is told in order, by hand and in a worker. */
#include "door.h"

#include <stdio.h>
#include <string.h>

#define TOLD_MAX 64

static struct told {
    pthread_mutex_t lock;
    size_t count;
    struct jobq_hooked what[TOLD_MAX];
    char queues[TOLD_MAX][32];
    pthread_t threads[TOLD_MAX];
} told = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void hear(const struct jobq_hooked *what, void *user)
{
    struct told *t = user;

    pthread_mutex_lock(&t->lock);
    ck_assert_uint_lt(t->count, TOLD_MAX);
    t->what[t->count] = *what;
    snprintf(t->queues[t->count], sizeof t->queues[0], "%.*s", (int)what->queue.size,
             what->queue.data ? (const char *)what->queue.data : "");
    t->threads[t->count++] = pthread_self();
    pthread_mutex_unlock(&t->lock);
}

static void begin(struct kit *k)
{
    kit_open(k);
    told.count = 0;
    ck_assert_int_eq(jobq_hook(k->q, hear, &told), JOBQ_OK);
    ck_assert_int_eq(jobq_hook(NULL, hear, NULL), JOBQ_INVALID);
}

/* What was told since the last time, in order. */
static void expect(const int *what, size_t count, const struct jobq_id *id, const char *queue)
{
    ck_assert_uint_eq(told.count, count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(told.what[i].what, what[i]);
        ck_assert_mem_eq(&told.what[i].id, id, sizeof *id);
        if (queue)
            ck_assert_str_eq(told.queues[i], queue);
    }
    told.count = 0;
}
#define EXPECT(id, queue, ...) \
    expect((const int[]){ __VA_ARGS__ }, sizeof(const int[]){ __VA_ARGS__ } / sizeof(int), id, queue)

static struct jobq_job claim(struct kit *k)
{
    static const char *const queues[] = { "work" };
    struct jobq_claim_options o = { .size = sizeof o, .queues = queues, .queue_count = 1, .flags = JOBQ_NO_SWEEP };
    static struct jobq_jobs *jobs;

    jobq_jobs_free(jobs);
    ck_assert_int_eq(jobq_claim(k->q, &o, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 1);
    return jobs->jobs[0];
}

START_TEST(by_hand)
{
    struct jobq_failure f = { .size = sizeof f, .permanent = 1 };
    struct kit k;

    begin(&k);
    struct jobq_id id = kit_put(&k, "work", "x");
    struct jobq_job job = claim(&k);
    ck_assert_int_eq(told.what[1].fence, job.fence);
    ck_assert_int_eq(told.what[1].attempt, 1);
    ck_assert_int_gt(told.what[1].at_ms, 0);
    EXPECT(&id, "work", JOBQ_HOOK_ENQUEUED, JOBQ_HOOK_CLAIMED);
    ck_assert_int_eq(jobq_release(k.q, &id, &job.token), JOBQ_OK);
    job = claim(&k);
    ck_assert_int_eq(jobq_snooze(k.q, &id, &job.token, 0), JOBQ_OK);
    job = claim(&k);
    ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, NULL), JOBQ_ALREADY); /* told once */
    EXPECT(&id, "work", JOBQ_HOOK_RELEASED, JOBQ_HOOK_CLAIMED, JOBQ_HOOK_SNOOZED, JOBQ_HOOK_CLAIMED, JOBQ_HOOK_FAILED);
    ck_assert_int_eq(jobq_clock_advance(k.q, 60000), JOBQ_OK);
    job = claim(&k);
    ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, &f), JOBQ_OK);
    ck_assert_int_eq(told.what[1].reason, JOBQ_REASON_PERMANENT);
    ck_assert_int_eq(told.what[1].fence, job.fence);
    ck_assert_int_eq(jobq_redrive(k.q, &id), JOBQ_OK);
    ck_assert_int_eq(jobq_cancel(k.q, &id, 0), JOBQ_OK);
    EXPECT(&id, "work", JOBQ_HOOK_CLAIMED, JOBQ_HOOK_DEAD, JOBQ_HOOK_READY, JOBQ_HOOK_CANCELLED);
    id = kit_put(&k, "work", "x");
    job = claim(&k);
    told.count = 0;
    ck_assert_int_eq(jobq_ack(k.q, &id, &job.token, NULL, 0), JOBQ_OK);
    EXPECT(&id, NULL, JOBQ_HOOK_COMPLETED);
    ck_assert_int_eq(jobq_hook(k.q, NULL, NULL), JOBQ_OK);
    kit_put(&k, "work", "x");
    ck_assert_uint_eq(told.count, 0);
    kit_close(&k);
}
END_TEST

START_TEST(what_is_swept)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work" };
    struct kit k;

    begin(&k);
    struct jobq_id id = kit_put_spec(&k, &spec);
    (void)claim(&k);
    ck_assert_int_eq(jobq_clock_advance(k.q, LEASE), JOBQ_OK);
    ck_assert_int_eq(jobq_sweep(k.q, 10, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_cancel(k.q, &id, 0), JOBQ_OK);
    EXPECT(&id, "work", JOBQ_HOOK_ENQUEUED, JOBQ_HOOK_CLAIMED, JOBQ_HOOK_FAILED, JOBQ_HOOK_CANCELLED);
    spec.max_attempts = 1;
    id = kit_put_spec(&k, &spec);
    (void)claim(&k);
    ck_assert_int_eq(jobq_clock_advance(k.q, LEASE), JOBQ_OK);
    ck_assert_int_eq(jobq_sweep(k.q, 10, NULL), JOBQ_OK);
    ck_assert_int_eq(told.what[2].reason, JOBQ_REASON_ATTEMPTS);
    EXPECT(&id, "work", JOBQ_HOOK_ENQUEUED, JOBQ_HOOK_CLAIMED, JOBQ_HOOK_DEAD);
    kit_close(&k);
}
END_TEST

START_TEST(in_a_worker)
{
    struct kit k;

    begin(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    struct jobq_id id = kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, completed, 1);
    ck_assert_uint_eq(told.count, 5);
    ck_assert(!pthread_equal(told.threads[2], pthread_self())); /* the handler's thread */
    ck_assert(pthread_equal(told.threads[2], told.threads[3]));
    ck_assert(pthread_equal(told.threads[4], pthread_self()));
    ck_assert_int_eq(told.what[4].attempt, 1);
    EXPECT(&id, "work", JOBQ_HOOK_ENQUEUED, JOBQ_HOOK_CLAIMED, JOBQ_HOOK_STARTED, JOBQ_HOOK_RETURNED,
           JOBQ_HOOK_COMPLETED);
    kit_close(&k);
}
END_TEST

START_TEST(nothing_is_told_of_what_failed)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work" };
    struct kit k;

    open_behind_door(&k);
    told.count = 0;
    ck_assert_int_eq(jobq_hook(k.q, hear, &told), JOBQ_OK);
    door.fail = 1;
    ck_assert_int_eq(jobq_enqueue(k.q, &spec, NULL), JOBQ_FAILED);
    ck_assert_uint_eq(told.count, 0);
    kit_close(&k);
}
END_TEST

KIT_MAIN("hook", by_hand, what_is_swept, in_a_worker, nothing_is_told_of_what_failed)
