/* SPDX-License-Identifier: MIT */
/* The promises about threads (R4): run under ThreadSanitizer these tests prove them; without it they still
 * count. */
#include "kit.h"

#include <string.h>

#define PRODUCERS 4
#define EACH 100

static void real_time(struct jobq_worker *w);

static int64_t real_clock(void *user)
{
    (void)user;
    return monotonic_ms();
}

static void real_time(struct jobq_worker *w)
{
    w->clock = real_clock;
}

struct crowd {
    struct kit *k;
    struct jobq_worker *w;
    pthread_mutex_t lock;
    pthread_cond_t all;
    int done;
    int wanted;
};

/* Uses everything that a handler may use, from its own thread and beside the turning one. */
static int busy_handler(struct jobq_ctx *ctx, void *user)
{
    struct crowd *c = user;
    const struct jobq_job *job = jobq_ctx_job(ctx);
    struct jobq_spec spec = { .size = sizeof spec, .queue = "later" };

    ck_assert_uint_eq(job->payload.size, 4);
    ck_assert_int_eq(jobq_ctx_progress(ctx, "half", 4), JOBQ_OK);
    ck_assert_int_eq(jobq_ctx_result(ctx, job->payload.data, job->payload.size), JOBQ_OK);
    ck_assert_uint_eq(jobq_ctx_flags(ctx) & JOBQ_CTX_LOST, 0);
    if (job->id.bytes[15] % 8 == 0)
        ck_assert_int_eq(jobq_ctx_then(ctx, &spec, NULL), JOBQ_OK);
    if (job->id.bytes[15] % 16 == 0) { /* a call of its own on the same handle */
        struct jobq_callback callback;
        ck_assert_int_eq(jobq_ctx_callback(ctx, &callback), JOBQ_OK);
    }
    if (job->attempt == 1 && job->id.bytes[15] % 5 == 0) {
        ck_assert_int_eq(jobq_ctx_error(ctx, "again", 5), JOBQ_OK);
        ck_assert_int_eq(jobq_ctx_delay(ctx, 0), JOBQ_OK);
        return JOBQ_RETRY;
    }
    pthread_mutex_lock(&c->lock);
    if (++c->done == c->wanted)
        pthread_cond_broadcast(&c->all);
    pthread_mutex_unlock(&c->lock);
    return JOBQ_DONE;
}

static void *runner(void *arg)
{
    struct crowd *c = arg;

    return (void *)(intptr_t)jobq_worker_run(c->w);
}

static void *producer(void *arg)
{
    struct crowd *c = arg;
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .payload = { "four", 4 } };

    for (int i = 0; i < EACH; i++) {
        struct jobq_worker_counts counts = { .size = sizeof counts };
        ck_assert_msg(jobq_enqueue(c->k->q, &spec, NULL) == JOBQ_OK, "%s", jobq_last_error()->text);
        jobq_worker_counts(c->w, &counts);
    }
    return NULL;
}

static void crowd_begin(struct crowd *c, struct kit *k, struct jobq_worker *w, int wanted)
{
    *c = (struct crowd){ .k = k, .w = w, .wanted = wanted };
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->all, NULL);
}

static void crowd_wait(struct crowd *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->done < c->wanted)
        pthread_cond_wait(&c->all, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

START_TEST(eight_threads_and_four_producers)
{
    struct kit k;
    struct crowd c;
    pthread_t run, producers[PRODUCERS];
    struct jobq_stats *stats;
    void *rc;

    kit_open(&k);
    kit_worker(&k, 8, 16, 0);
    real_time(k.w);
    crowd_begin(&c, &k, k.w, PRODUCERS * EACH);
    jobq_worker_handle(k.w, NULL, busy_handler, &c);
    ck_assert_int_eq(pthread_create(&run, NULL, runner, &c), 0);
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(pthread_create(&producers[i], NULL, producer, &c), 0);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i], NULL);
    crowd_wait(&c);
    jobq_worker_stop(k.w);
    pthread_join(run, &rc);
    ck_assert_int_eq((int)(intptr_t)rc, JOBQ_OK);
    ck_assert_uint_eq(KIT_COUNT(k.w, completed), PRODUCERS * EACH);
    ck_assert_uint_eq(KIT_COUNT(k.w, lost), 0);
    ck_assert_int_eq(jobq_stats(k.q, "work", &stats), JOBQ_OK);
    ck_assert_uint_eq(stats->queues[0].present[JOBQ_COMPLETED], PRODUCERS * EACH);
    jobq_stats_free(stats);
    kit_close(&k);
}
END_TEST

START_TEST(two_workers_two_handles_one_store)
{
    struct kit k, other;
    struct crowd a, b;
    pthread_t run_a, run_b;

    kit_open(&k);
    kit_join(&other, &k);
    kit_worker(&k, 4, 4, JOBQ_WORKER_DRAIN);
    other.w = kit_another(&other, other.q, "w2", 4, 4, JOBQ_WORKER_DRAIN);
    real_time(k.w);
    real_time(other.w);
    crowd_begin(&a, &k, k.w, 0);
    crowd_begin(&b, &other, other.w, 0);
    jobq_worker_handle(k.w, NULL, busy_handler, &a);
    jobq_worker_handle(other.w, NULL, busy_handler, &b);
    producer(&a);
    ck_assert_int_eq(pthread_create(&run_a, NULL, runner, &a), 0);
    ck_assert_int_eq(pthread_create(&run_b, NULL, runner, &b), 0);
    pthread_join(run_a, NULL);
    pthread_join(run_b, NULL);
    ck_assert_uint_eq(KIT_COUNT(k.w, completed) + KIT_COUNT(other.w, completed), EACH);
    kit_close(&other);
    kit_close(&k);
}
END_TEST

START_TEST(stopped_by_another_thread_in_the_middle)
{
    for (int round = 0; round < 10; round++) {
        struct kit k;
        struct crowd c;
        pthread_t run;
        struct jobq_stats *stats;
        kit_open(&k);
        kit_worker(&k, 8, 8, 0);
        real_time(k.w);
        crowd_begin(&c, &k, k.w, 10);
        jobq_worker_handle(k.w, NULL, busy_handler, &c);
        producer(&c);
        ck_assert_int_eq(pthread_create(&run, NULL, runner, &c), 0);
        crowd_wait(&c);
        jobq_worker_stop(k.w);
        pthread_join(run, NULL);
        ck_assert_int_eq(jobq_stats(k.q, "work", &stats), JOBQ_OK);
        ck_assert_uint_eq(stats->queues[0].present[JOBQ_RUNNING], 0); /* all handed in or given back */
        ck_assert_uint_eq(stats->queues[0].present[JOBQ_COMPLETED], KIT_COUNT(k.w, completed));
        jobq_stats_free(stats);
        kit_close(&k);
    }
}
END_TEST

KIT_MAIN("threads", eight_threads_and_four_producers, two_workers_two_handles_one_store,
         stopped_by_another_thread_in_the_middle)
