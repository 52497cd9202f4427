/* SPDX-License-Identifier: MIT */
/* A thread that has run its job and finds no other hands it in and takes the next, as long as that is all that is due:
 * nobody is woken between two jobs. What people are told stays with the thread of jobq_worker_run. */
#include "door.h"

#include <string.h>

#define JOBS 20

static struct aside {
    struct kit *k;
    pthread_t runner;
    int calls, fail_at;
    int by_runner, by_handler; /* completions, by the thread that told of them */
    int notices;
} a;

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
    if (++a.calls == a.fail_at)
        door.fail = 1;
    pthread_mutex_unlock(&a.k->w->turns);
    return JOBQ_DONE;
}

static void hear(const struct jobq_hooked *what, void *user)
{
    (void)user;
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
    a = (struct aside){ .k = k, .runner = pthread_self(), .fail_at = fail_at };
    kit_worker(k, threads, batch, flags);
    k->w->clock = real_clock;
    jobq_worker_handle(k->w, NULL, handler, NULL);
    ck_assert_int_eq(jobq_worker_notify(k->w, listen_in_place, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_hook(k->q, hear, NULL), JOBQ_OK);
    for (int i = 0; i < JOBS; i++)
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

KIT_MAIN("aside", one_after_another, several_threads, trouble_is_told_by_the_thread_that_runs,
         not_when_the_program_turns, only_the_first_is_its_own)
