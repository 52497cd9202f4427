/* SPDX-License-Identifier: MIT */
/* Every allocation may fail (R1): jobs are neither lost nor done twice, and the worker goes on. The build
 * wraps malloc and its kin for this test. */
#include "kit.h"

#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);

static _Atomic int until_failure = -1; /* allocations that still succeed; negative: all */
static _Atomic int failures;

static bool fails(void)
{
    if (atomic_load(&until_failure) < 0 || atomic_fetch_sub(&until_failure, 1) != 0)
        return false;
    atomic_fetch_add(&failures, 1);
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

static int talking_handler(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;
    struct jobq_spec spec = { .size = sizeof spec, .queue = "later" };

    atomic_fetch_add(&k->calls, 1);
    (void)jobq_ctx_progress(ctx, "half", 4);
    if (jobq_ctx_result(ctx, "result", 6) != JOBQ_OK || jobq_ctx_then(ctx, &spec, NULL) != JOBQ_OK)
        return JOBQ_RELEASE; /* what a handler can do about it */
    return JOBQ_DONE;
}

static void expect_all_done(struct kit *k, uint64_t count)
{
    struct jobq_stats *stats;

    ck_assert_int_eq(jobq_stats(k->q, "work", &stats), JOBQ_OK);
    ck_assert_uint_eq(stats->queues[0].completed_total, count);
    jobq_stats_free(stats);
    ck_assert_int_eq(jobq_stats(k->q, "later", &stats), JOBQ_OK);
    ck_assert_uint_eq(stats->queues[0].enqueued_total, count);
    jobq_stats_free(stats);
}

/* One step of the worker and its handlers, in which allocations may fail. */
static int step(struct kit *k, int *left)
{
    int rc;

    atomic_store(&until_failure, *left);
    rc = jobq_worker_dispatch(k->w);
    kit_until_ended(k);
    *left = atomic_exchange(&until_failure, -1);
    return rc;
}

/* Four jobs; allocation number n from the start of the worker on fails. */
static void run_with_failure(int n)
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 2, 2, 0);
    jobq_worker_handle(k.w, NULL, talking_handler, &k);
    for (int i = 0; i < 4; i++)
        kit_put(&k, "work", "x");
    for (int i = 0; KIT_COUNT(k.w, completed) < 4; i++) {
        int rc = step(&k, &n);
        ck_assert(rc == JOBQ_OK || rc == JOBQ_NOMEM); /* NOMEM: it could not start */
        ck_assert_int_lt(i, 300);
        kit_tick(&k, jobq_worker_next_ms(k.w));
    }
    expect_all_done(&k, 4);
    kit_close(&k);
}

START_TEST(every_allocation_may_fail) /* R1; S1, S3 */
{
    int n = 0, fired, stride = kit_stride(8);

    do {
        fired = atomic_load(&failures);
        run_with_failure(n);
        n += stride;
    } while (atomic_load(&failures) > fired); /* until a run needs fewer */
    ck_assert_int_ge(atomic_load(&failures), 40 / stride);
}
END_TEST

static void create_with_failure(int n, int *rc)
{
    static const char *const queues[] = { "a", "b" };
    static const int32_t weights[] = { 1, 2 };
    struct jobq_worker_options o = { .size = sizeof o, .queues = queues, .queue_count = 2,
                                     .weights = weights };
    struct jobq_worker *w;
    struct kit k;

    kit_open(&k);
    /* What a store makes for the first worker of a handle it may keep for the next. */
    ck_assert_int_eq(jobq_worker_create(&w, k.q, &o), JOBQ_OK);
    jobq_worker_destroy(w);
    size_t fds = kit_descriptors();
    atomic_store(&until_failure, n);
    *rc = jobq_worker_create(&w, k.q, &o);
    if (*rc == JOBQ_OK)
        *rc = jobq_worker_handle(w, "kind", count_handler, &k);
    atomic_store(&until_failure, -1);
    ck_assert(*rc == JOBQ_OK || *rc == JOBQ_NOMEM);
    jobq_worker_destroy(w);
    ck_assert_uint_eq(kit_descriptors(), fds);
    kit_close(&k);
}

START_TEST(nothing_is_left_of_half_a_worker) /* R1 */
{
    int rc, n = 0;

    do
        create_with_failure(n++, &rc);
    while (rc != JOBQ_OK);
    ck_assert_int_ge(n, 8);
}
END_TEST

KIT_MAIN("memory", every_allocation_may_fail, nothing_is_left_of_half_a_worker)
