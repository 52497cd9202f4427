/* SPDX-License-Identifier: MIT */
/* Turns of one worker beside each other: it takes new jobs while what is done is handed in, where the store serves several
 * exchanges at once. What contract.md promises of one exchange after another stays: R1 (nothing runs twice under its lease),
 * R2 (an outcome that was said is not lost), R3 (heartbeats). */
#include "kit.h"

#include <string.h>

#define JOBS 8

static const struct jobq_backend *inner;
static struct jobq_backend wide;

/* What happens at the store, under the lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int inside, most_inside;
    int wants, beats; /* inside; at most one each, and heartbeats never beside anything */
    int handed_in;    /* exchanges with outcomes that are over */
    int held;         /* exchanges that wait at the hold */
    bool hold;        /* who asks for jobs and hands in too waits inside, the first time */
    bool for_another; /* until another one has handed in */
    int calls, fail_every, unknown_every;
    int beats_seen;
} seen;

/* To give back what a lost answer may have claimed is no heartbeat. */
static bool has_heartbeat(const struct jobq_exchange *x)
{
    return x->beat_count && !(x->beats[0].flags & JOBQ_BEAT_RELEASE);
}

static void come_in(const struct jobq_exchange *x)
{
    pthread_mutex_lock(&seen.lock);
    seen.calls++;
    seen.inside++;
    seen.most_inside = seen.inside > seen.most_inside ? seen.inside : seen.most_inside;
    seen.wants += x->want != NULL;
    seen.beats += has_heartbeat(x);
    seen.beats_seen += has_heartbeat(x);
    ck_assert_int_le(seen.wants, 1);
    ck_assert(seen.beats == 0 || seen.inside == 1);
    if (seen.hold && x->want && x->change_count) {
        int before = seen.handed_in;
        seen.held++;
        pthread_cond_broadcast(&seen.changed);
        while (seen.hold && !(seen.for_another && seen.handed_in > before))
            pthread_cond_wait(&seen.changed, &seen.lock);
        seen.held--;
        seen.hold = false; /* this one was enough */
    }
    pthread_mutex_unlock(&seen.lock);
}

static void go_out(const struct jobq_exchange *x)
{
    pthread_mutex_lock(&seen.lock);
    seen.inside--;
    seen.wants -= x->want != NULL;
    seen.beats -= has_heartbeat(x);
    seen.handed_in += x->change_count > 0;
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.lock);
}

static bool each(int every, int call)
{
    return every && call % every == 0;
}

static int wide_exchange(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err)
{
    int rc, call;

    come_in(x);
    pthread_mutex_lock(&seen.lock);
    call = seen.calls;
    pthread_mutex_unlock(&seen.lock);
    if (each(seen.fail_every, call)) {
        x->failure = JOBQ_FAILURE_FULL;
        x->want_unit = JOBQ_SKIPPED;
        rc = x->unit = jobq_error_set(err, JOBQ_FAILED, NULL, "no room");
    } else {
        rc = inner->exchange(s, x, arena, err);
        if (rc == JOBQ_OK && each(seen.unknown_every, call)) {
            x->want_unit = JOBQ_SKIPPED;
            rc = x->unit = jobq_error_set(err, JOBQ_UNKNOWN, NULL, "no answer");
        }
    }
    go_out(x);
    return rc;
}

static int64_t real_clock(void *user)
{
    (void)user;
    return monotonic_ms();
}

/* A worker of one thread that holds `batch` jobs, and `jobs` of them put. */
static void open_wide(struct kit *k, size_t batch, int jobs, jobq_handler handler, uint32_t flags)
{
    inner = kit_backend();
    wide = *inner;
    wide.capabilities |= JOBQ_CAP_PARALLEL;
    wide.exchange = wide_exchange;
    memset(&seen, 0, sizeof seen);
    pthread_mutex_init(&seen.lock, NULL);
    pthread_cond_init(&seen.changed, NULL);
    kit_open_with(k, &wide);
    k->q->repeat_ms = 30000; /* on a machine that is busy */
    kit_worker(k, 1, batch, flags);
    jobq_worker_handle(k->w, NULL, handler, k);
    for (int i = 0; i < jobs; i++)
        kit_put(k, "work", NULL);
}

/* The second job stays until the first one's outcome is on its way, so that there is something to go on with meanwhile. */
static int staying_handler(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;

    (void)ctx;
    if (atomic_fetch_add(&k->calls, 1) == 1) {
        pthread_mutex_lock(&seen.lock);
        while (seen.hold && !seen.held)
            pthread_cond_wait(&seen.changed, &seen.lock);
        pthread_mutex_unlock(&seen.lock);
    }
    return JOBQ_DONE;
}

static uint64_t present(struct kit *k, int state)
{
    struct jobq_stats *stats;
    uint64_t count;

    ck_assert_int_eq(jobq_stats(k->q, "work", &stats), JOBQ_OK);
    count = stats->queues[0].present[state];
    jobq_stats_free(stats);
    return count;
}

/* ---- tests ----------------------------------------------------------------------------------------------- */

/* The first turn with outcomes stays at the store until another one has handed in: a worker that waits for its answer never
 * comes to the end. And the end is found at once, not at the next look at the store, an hour of the clock that stands still
 * later. */
START_TEST(outcomes_go_while_jobs_are_asked_for)
{
    struct kit k;

    open_wide(&k, JOBS / 2, JOBS, staying_handler, JOBQ_WORKER_DRAIN);
    seen.hold = seen.for_another = true;
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    ck_assert_int_eq(seen.most_inside, 2);
    ck_assert_int_eq(atomic_load(&k.calls), JOBS);
    ck_assert_uint_eq(KIT_COUNT(k.w, completed), JOBS);
    ck_assert_uint_eq(present(&k, JOBQ_COMPLETED), JOBS);
    kit_close(&k);
}
END_TEST

/* A loop of the program's own makes one turn at a time, in its own thread. */
START_TEST(a_dispatched_worker_has_one_turn_at_a_time)
{
    struct kit k;

    open_wide(&k, JOBS / 2, JOBS, count_handler, 0);
    KIT_UNTIL(k.w, completed, JOBS);
    ck_assert_int_eq(seen.most_inside, 1);
    kit_close(&k);
}
END_TEST

static void *run(void *arg)
{
    struct kit *k = arg;

    return (void *)(intptr_t)jobq_worker_run(k->w);
}

/* Stop while turns are under way: what they bring is given back or done, and nothing stays claimed. */
START_TEST(stop_waits_for_what_is_under_way)
{
    struct kit k;
    pthread_t thread;
    void *rc;

    open_wide(&k, JOBS / 2, JOBS, staying_handler, 0);
    k.w->clock = real_clock;
    seen.hold = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, run, &k), 0);
    pthread_mutex_lock(&seen.lock);
    while (!seen.held)
        pthread_cond_wait(&seen.changed, &seen.lock);
    pthread_mutex_unlock(&seen.lock);
    jobq_worker_stop(k.w);
    pthread_mutex_lock(&seen.lock);
    seen.hold = false;
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.lock);
    pthread_join(thread, &rc);
    ck_assert_int_eq((int)(intptr_t)rc, JOBQ_OK);
    ck_assert_uint_eq(present(&k, JOBQ_RUNNING), 0);
    ck_assert_uint_eq(present(&k, JOBQ_COMPLETED) + present(&k, JOBQ_READY), JOBS);
    ck_assert_uint_eq(present(&k, JOBQ_COMPLETED), (uint64_t)atomic_load(&k.calls));
    kit_close(&k);
}
END_TEST

/* Time goes on under its hands, in steps of a quarter of the lease. */
static int aging_handler(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;

    (void)ctx;
    if (atomic_fetch_add(&k->calls, 1) % 40 == 39)
        kit_tick(k, LEASE / 4);
    return JOBQ_DONE;
}

START_TEST(heartbeats_have_the_turn_to_themselves)
{
    struct kit k;

    open_wide(&k, 20, 400, aging_handler, JOBQ_WORKER_DRAIN);
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    ck_assert_int_gt(seen.beats_seen, 0);
    ck_assert_int_eq(atomic_load(&k.calls), 400);
    ck_assert_uint_eq(KIT_COUNT(k.w, lost), 0);
    ck_assert_uint_eq(present(&k, JOBQ_COMPLETED), 400);
    kit_close(&k);
}
END_TEST

/* Each seventh exchange has no effect, of each fifth the answer is lost. */
START_TEST(faults_on_both_lanes)
{
    struct kit k;

    open_wide(&k, 20, 400, count_handler, JOBQ_WORKER_DRAIN);
    k.w->clock = real_clock;
    seen.fail_every = 7;
    seen.unknown_every = 5;
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    seen.fail_every = seen.unknown_every = 0;
    ck_assert_int_eq(atomic_load(&k.calls), 400);
    ck_assert_uint_eq(KIT_COUNT(k.w, lost), 0);
    ck_assert_uint_eq(present(&k, JOBQ_COMPLETED), 400);
    kit_close(&k);
}
END_TEST

KIT_MAIN("beside", outcomes_go_while_jobs_are_asked_for, a_dispatched_worker_has_one_turn_at_a_time,
         stop_waits_for_what_is_under_way, heartbeats_have_the_turn_to_themselves, faults_on_both_lanes)
