/* SPDX-License-Identifier: MIT */
/* A thread that has run its job and finds no other hands it in and takes the next, as long as that is all that is due:
 * nobody is woken between two jobs. What people are told stays with the thread of jobq_worker_run. */
#include "door.h"

#include <poll.h>
#include <string.h>

#define JOBS 20

static struct seen {
    struct kit *k;
    pthread_t runner;
    _Atomic int calls;
    int fail_at;
    int by_runner, by_handler; /* completions, by the thread that told of them */
    _Atomic int claims;        /* told of by the thread that ran the job then */
    int notices;
} a;
static _Thread_local bool claimed_here;

static int64_t real_clock(void *user)
{
    (void)user;
    return monotonic_ms();
}

/* Goes on when the turning thread has nothing to do. */
static int handler(struct jobq_ctx *ctx, void *user)
{
    (void)ctx;
    (void)user;
    pthread_mutex_lock(&a.k->w->turns);
    if (atomic_fetch_add(&a.calls, 1) + 1 == a.fail_at)
        door.fail = 1;
    pthread_mutex_unlock(&a.k->w->turns);
    return JOBQ_DONE;
}

static void hear(const struct jobq_hooked *what, void *user)
{
    (void)user;
    if (what->what == JOBQ_HOOK_STARTED)
        atomic_fetch_add(&a.claims, claimed_here);
    if (what->what == JOBQ_HOOK_STARTED || what->what == JOBQ_HOOK_CLAIMED)
        claimed_here = what->what == JOBQ_HOOK_CLAIMED;
    if (what->what != JOBQ_HOOK_COMPLETED)
        return;
    if (pthread_equal(a.runner, pthread_self()))
        a.by_runner++;
    else
        a.by_handler++;
}

static void listen_in_place(int notice, const char *text, void *user)
{
    ck_assert(pthread_equal(a.runner, pthread_self()));
    a.notices++;
    kit_listen(notice, text, user);
}

static void begin(struct kit *k, size_t threads, size_t batch, uint32_t flags, int fail_at)
{
    if (fail_at) /* whose door only one at a time may pass */
        open_behind_door(k);
    else
        kit_open(k);
    a = (struct seen){ .k = k, .runner = pthread_self(), .fail_at = fail_at };
    kit_worker(k, threads, batch, flags);
    k->w->clock = real_clock;
    jobq_worker_handle(k->w, NULL, handler, NULL);
    ck_assert_int_eq(jobq_worker_notify(k->w, listen_in_place, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_hook(k->q, hear, NULL), JOBQ_OK);
    for (int i = 0; i < (flags & JOBQ_WORKER_DRAIN ? JOBS : 0); i++)
        kit_put(k, "work", "x");
}

START_TEST(one_after_another)
{
    struct kit k;

    begin(&k, 1, 0, JOBQ_WORKER_DRAIN | JOBQ_WORKER_NO_BATCH, 0);
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    ck_assert_uint_eq(KIT_COUNT(k.w, completed), JOBS);
    ck_assert_int_eq(a.by_runner + a.by_handler, JOBS);
    ck_assert_int_gt(a.by_handler, 0);
    kit_close(&k);
}
END_TEST

START_TEST(several_threads)
{
    struct kit k;

    begin(&k, 4, 4, JOBQ_WORKER_DRAIN, 0);
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    ck_assert_uint_eq(KIT_COUNT(k.w, completed), JOBS);
    ck_assert_int_eq(a.by_runner + a.by_handler, JOBS);
    kit_close(&k);
}
END_TEST

START_TEST(trouble_is_told_by_the_thread_that_runs)
{
    struct kit k;

    begin(&k, 1, 0, JOBQ_WORKER_DRAIN | JOBQ_WORKER_NO_BATCH, JOBS / 2);
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    ck_assert_uint_eq(KIT_COUNT(k.w, completed), JOBS);
    ck_assert_int_eq(a.notices, 2);
    kit_expect_heard(0, JOBQ_NOTICE_TROUBLE, "the door is shut");
    kit_expect_heard(1, JOBQ_NOTICE_MENDED, "");
    kit_close(&k);
}
END_TEST

/* Whoever drives the turns has them all: nobody makes one meanwhile. */
START_TEST(not_when_the_program_turns)
{
    struct kit k;

    begin(&k, 1, 0, JOBQ_WORKER_NO_BATCH, 0);
    for (int i = 0; i < JOBS; i++)
        kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, completed, JOBS);
    ck_assert_int_eq(a.by_runner, JOBS);
    ck_assert_int_eq(a.by_handler, 0);
    kit_close(&k);
}
END_TEST

/* Nobody is woken for the job that it takes itself; for what is given after that somebody is. */
START_TEST(only_the_first_is_its_own)
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 2, 0, JOBQ_WORKER_NO_BATCH);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_turns(k.w);
    k.w->takes_one = true;
    kit_put(&k, "work", "x");
    kit_turns(k.w);
    ck_assert(!k.w->takes_one);
    kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 2);
    kit_close(&k);
}
END_TEST

/* ---- who waits for the store -------------------------------------------------------------------------------------- */

/* Until a thread of the pool waits for the store, and nobody turns or was told to. */
static void wait_for_the_watcher(struct jobq_worker *w)
{
    for (bool rests = false; !rests; sched_yield()) {
        struct pollfd bell = { .fd = w->waker.event, .events = POLLIN };

        pthread_mutex_lock(&w->turns);
        rests = w->held == 0 && poll(&bell, 1, 0) == 0 && atomic_load(&w->pool.watching);
        pthread_mutex_unlock(&w->turns);
    }
}

static void *feed(void *arg)
{
    struct kit *from = arg;

    for (int i = 0; i < 10 * JOBS && atomic_load(&a.claims) < JOBS / 2; i++) {
        wait_for_the_watcher(a.k->w);
        kit_put(from, "work", "x");
        while (atomic_load(&a.calls) == i) /* without the turns: who hears of it must find them free */
            sched_yield();
    }
    jobq_worker_stop(a.k->w);
    return NULL;
}

/* The turning thread may have been looking for something else just then: how often it has depends on how busy the machine
 * is, so jobs come until enough were run by who heard of them. */
static void hears_and_runs(struct kit *k, struct kit *from, size_t threads)
{
    pthread_t feeder;

    begin(k, threads, 0, JOBQ_WORKER_NO_BATCH, 0);
    if (from != k)
        kit_join(from, k);
    ck_assert_int_eq(pthread_create(&feeder, NULL, feed, from), 0);
    ck_assert_int_eq(jobq_worker_run(k->w), JOBQ_OK);
    pthread_join(feeder, NULL);
    ck_assert_int_eq(atomic_load(&a.claims), JOBS / 2);
    if (from != k)
        kit_close(from);
    kit_close(k);
}

START_TEST(who_hears_of_a_job_runs_it)
{
    struct kit k, other;

    hears_and_runs(&k, &other, 1);
    hears_and_runs(&k, &other, 3);
}
END_TEST

START_TEST(also_when_the_job_came_by_its_own_handle)
{
    struct kit k;

    hears_and_runs(&k, &k, 1);
    hears_and_runs(&k, &k, 3);
}
END_TEST

static void *put_two_for_later(void *arg)
{
    struct kit *k = arg;
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .kind = "x", .delay_ms = 1000 };

    for (int i = 0; i < 2; i++)
        kit_put_spec(k, &spec);
    wait_for_the_watcher(k->w);
    kit_tick(k, 1000);
    waker_ring(&k->w->waker); /* its own deadline, had it waited */
    gate_wait_started(&k->gate, 2);
    gate_open(&k->gate, -1, JOBQ_DONE);
    jobq_worker_stop(k->w);
    return NULL;
}

/* Two threads, two jobs that the turning thread gives: the one that waits for the store is needed too. */
START_TEST(the_watcher_is_called_when_the_others_do_not_suffice)
{
    struct kit k;
    pthread_t feeder;

    begin(&k, 2, 2, 0, 0);
    kit_clock_of(&k, k.w);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    ck_assert_int_eq(pthread_create(&feeder, NULL, put_two_for_later, &k), 0);
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    pthread_join(feeder, NULL);
    kit_close(&k);
}
END_TEST

/* Without a thread inside jobq_worker_run the store's wake-up belongs to the program's loop. */
START_TEST(not_when_the_program_waits)
{
    struct kit k;

    begin(&k, 2, 0, JOBQ_WORKER_NO_BATCH, 0);
    kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, completed, 1);
    ck_assert(!atomic_load(&k.w->pool.watching));
    kit_close(&k);
}
END_TEST

KIT_MAIN("aside", one_after_another, several_threads, trouble_is_told_by_the_thread_that_runs,
         not_when_the_program_turns, only_the_first_is_its_own, who_hears_of_a_job_runs_it,
         also_when_the_job_came_by_its_own_handle, the_watcher_is_called_when_the_others_do_not_suffice,
         not_when_the_program_waits)
