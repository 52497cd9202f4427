/* SPDX-License-Identifier: MIT */
/* Workers fire schedules: every one, whatever queues it serves, each nominal time once (rule 13, S12). */
#include "kit.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE INT64_C(60000)
#define HOUR INT64_C(3600000)

static void add(struct kit *k, const char *name, const char *queue, const char *cron, int missed)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = queue, .payload = { name, strlen(name) } };
    struct jobq_schedule s = { .size = sizeof s, .name = name, .cron = cron, .missed = missed, .spec = &spec };

    ck_assert_msg(jobq_schedule_add(k->q, &s) == JOBQ_OK, "%s", jobq_last_error()->text);
}

static int64_t next(struct kit *k, const char *name)
{
    int64_t at = 0;
    size_t count;

    ck_assert_int_eq(jobq_schedule_next(k->q, name, 0, &at, 1, &count), JOBQ_OK);
    return at;
}

static int64_t store_now(struct kit *k)
{
    struct jobq_schedules *none;
    int64_t now;

    ck_assert_int_eq(jobq_schedule_list(k->q, "zzz", 1, &none), JOBQ_OK);
    now = none->now_ms;
    jobq_schedules_free(none);
    return now;
}

/* Until that instant and a little further: workers do not all come at the same moment. */
static void tick_to(struct kit *k, int64_t at_ms)
{
    int64_t now = store_now(k);

    kit_tick(k, (at_ms > now ? at_ms - now : 0) + 500);
}

static struct jobq_jobs *all_jobs(struct kit *k)
{
    struct jobq_filter f = { .size = sizeof f, .limit = 1000 };
    struct jobq_jobs *jobs;

    ck_assert_int_eq(jobq_list(k->q, &f, &jobs), JOBQ_OK);
    return jobs;
}

static size_t job_count(struct kit *k)
{
    struct jobq_jobs *jobs = all_jobs(k);
    size_t count = jobs->count;

    jobq_jobs_free(jobs);
    return count;
}

/* No (schedule, nominal time) twice. A time of the calendar comes to one of the store's clock within a millisecond: both are read. */
static void each_once(struct kit *k)
{
    struct jobq_jobs *jobs = all_jobs(k);

    for (size_t i = 0; i < jobs->count; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert(llabs(jobs->jobs[i].run_at_ms - jobs->jobs[j].run_at_ms) > 500 ||
                      jobs->jobs[i].payload.size != jobs->jobs[j].payload.size ||
                      memcmp(jobs->jobs[i].payload.data, jobs->jobs[j].payload.data, jobs->jobs[i].payload.size));
    jobq_jobs_free(jobs);
}

static void open_working(struct kit *k, jobq_handler handler)
{
    kit_open(k);
    kit_worker(k, 2, 2, 0);
    ck_assert_int_eq(jobq_worker_handle(k->w, NULL, handler, k), JOBQ_OK);
}

/* A worker that sleeps wakes for the tick itself, not for its next sweep, and runs what it put. */
START_TEST(wakes_for_the_tick_and_runs_it)
{
    struct kit k;
    open_working(&k, count_handler);
    kit_turns(k.w);
    add(&k, "s", "work", "* * * * *", JOBQ_MISSED_ONE);
    kit_turns(k.w);
    for (int i = 1; i <= 3; i++) {
        int64_t at = next(&k, "s"), wait = at - store_now(&k);
        /* It must not sleep past the tick. */
        ck_assert_int_le(jobq_worker_next_ms(k.w), wait + 1000);
        tick_to(&k, at);
        KIT_UNTIL(k.w, completed, (uint64_t)i);
        ck_assert_uint_eq(KIT_COUNT(k.w, fired), (uint64_t)i);
    }
    ck_assert_int_eq(atomic_load(&k.calls), 3);
    kit_close(&k);
}
END_TEST

START_TEST(whatever_queue_it_serves)
{
    struct kit k;
    open_working(&k, count_handler);
    add(&k, "s", "somewhere else", "0 * * * *", JOBQ_MISSED_ONE);
    kit_turns(k.w);
    tick_to(&k, next(&k, "s"));
    kit_turns(k.w);
    ck_assert_uint_eq(job_count(&k), 1);
    ck_assert_int_eq(atomic_load(&k.calls), 0);
    kit_close(&k);
}
END_TEST

static void move_both(struct kit *a, struct kit *b, int64_t at_ms)
{
    int64_t before = atomic_load(&a->clock);

    tick_to(a, at_ms);
    atomic_fetch_add(&b->clock, atomic_load(&a->clock) - before);
}

/* S12: two workers, each with a handle of its own. */
START_TEST(two_workers_fire_each_time_once)
{
    struct kit a, b;
    open_working(&a, count_handler);
    kit_join(&b, &a);
    kit_worker(&b, 2, 2, 0);
    ck_assert_int_eq(jobq_worker_handle(b.w, NULL, count_handler, &b), JOBQ_OK);
    add(&a, "minutes", "work", "* * * * *", JOBQ_MISSED_ONE);
    add(&b, "fives", "work", "*/5 * * * *", JOBQ_MISSED_ONE);
    kit_turns(a.w);
    kit_turns(b.w);
    uint64_t fives = 0;
    for (int i = 1; i <= 40; i++) {
        int64_t at = next(&a, "minutes");
        fives += at % (5 * MINUTE) == 0;
        move_both(&a, &b, at);
        for (int turn = 0; turn < 4; turn++) { /* they take turns, and neither ends its sweep before the other begins */
            ck_assert_int_ge(jobq_worker_dispatch(turn % 2 ? a.w : b.w), 0);
            ck_assert_int_ge(jobq_worker_dispatch(turn % 2 ? b.w : a.w), 0);
        }
        kit_turns(a.w);
        kit_turns(b.w);
        ck_assert_uint_eq(KIT_COUNT(a.w, fired) + KIT_COUNT(b.w, fired), (uint64_t)i + fives);
        /* A minute is longer than a lease: what is in hand is done before the next one. */
        while (KIT_COUNT(a.w, completed) + KIT_COUNT(b.w, completed) < (uint64_t)i + fives) {
            kit_turns(a.w);
            kit_turns(b.w);
        }
    }
    each_once(&a);
    ck_assert_uint_eq(job_count(&a), 40 + fives);
    kit_close(&b);
    kit_close(&a);
}
END_TEST

static void *run_a_worker(void *user)
{
    ck_assert_int_eq(jobq_worker_run(user), JOBQ_OK);
    return NULL;
}

/* The same with threads that do not wait for each other. */
START_TEST(racing_workers)
{
    struct kit k[4];
    pthread_t thread[4];
    uint64_t fired = 0;
    kit_open(&k[0]);
    for (int i = 1; i < 4; i++)
        kit_join(&k[i], &k[0]);
    add(&k[0], "s", "none", "* * * * * *", JOBQ_MISSED_ALL);
    for (int i = 0; i < 4; i++) {
        kit_worker(&k[i], 1, 1, 0);
        ck_assert_int_eq(jobq_worker_handle(k[i].w, NULL, count_handler, &k[i]), JOBQ_OK);
    }
    int64_t first = next(&k[0], "s");
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run_a_worker, k[i].w), 0);
    for (int round = 0; round < 20; round++) {
        ck_assert_int_eq(jobq_clock_advance(k[0].q, 10000), JOBQ_OK);
        for (int i = 0; i < 4; i++)
            atomic_fetch_add(&k[i].clock, 10000);
        for (int i = 0; i < 4; i++)
            jobq_wake(k[i].q);
        while (job_count(&k[0]) < (size_t)(round + 1) * 10)
            sched_yield();
    }
    for (int i = 0; i < 4; i++)
        jobq_worker_stop(k[i].w);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    each_once(&k[0]);
    for (int i = 0; i < 4; i++)
        fired += KIT_COUNT(k[i].w, fired);
    ck_assert_uint_eq(fired, job_count(&k[0]));
    /* No hole either: as many as there were seconds. The first may be earlier: it was asked for a while after it was added. */
    struct jobq_jobs *jobs = all_jobs(&k[0]);
    int64_t last = first;
    for (size_t i = 0; i < jobs->count; i++) {
        last = jobs->jobs[i].run_at_ms > last ? jobs->jobs[i].run_at_ms : last;
        first = jobs->jobs[i].run_at_ms < first ? jobs->jobs[i].run_at_ms : first;
    }
    ck_assert_int_eq((last - first + 500) / 1000 + 1, (int64_t)jobs->count);
    jobq_jobs_free(jobs);
    for (int i = 3; i >= 0; i--)
        kit_close(&k[i]);
}
END_TEST

static size_t after_a_rest(int missed)
{
    struct kit k;
    size_t count;
    open_working(&k, count_handler);
    add(&k, "s", "none", "0 * * * *", missed);
    kit_turns(k.w);
    tick_to(&k, next(&k, "s") + 5 * HOUR + HOUR / 2);
    kit_turns(k.w);
    kit_turns(k.w);
    count = job_count(&k);
    each_once(&k);
    kit_close(&k);
    return count;
}

START_TEST(missed_runs)
{
    ck_assert_uint_eq(after_a_rest(JOBQ_MISSED_ONE), 1);
    ck_assert_uint_eq(after_a_rest(JOBQ_MISSED_SKIP), 0);
    ck_assert_uint_eq(after_a_rest(JOBQ_MISSED_ALL), 6);
}
END_TEST

/* A queue that is full does not make the worker turn without end. */
START_TEST(full_queue_is_no_hot_loop)
{
    struct kit k;
    open_working(&k, count_handler);
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_DEPTH,
                               .name = { "none", 4 } };
    ck_assert_int_eq(k.q->backend->configure(k.q->lanes[0].store, &s, NULL), JOBQ_OK);
    add(&k, "s", "none", "0 * * * *", JOBQ_MISSED_ONE);
    kit_turns(k.w);
    tick_to(&k, next(&k, "s"));
    uint64_t before = KIT_COUNT(k.w, exchanges);
    kit_turns(k.w); /* ends only if the worker has nothing to do at once */
    ck_assert_uint_lt(KIT_COUNT(k.w, exchanges) - before, 8);
    ck_assert_uint_eq(job_count(&k), 0);
    s.depth = -1;
    ck_assert_int_eq(k.q->backend->configure(k.q->lanes[0].store, &s, NULL), JOBQ_OK);
    kit_tick(&k, 11000);
    kit_turns(k.w);
    ck_assert_uint_eq(job_count(&k), 1);
    kit_close(&k);
}
END_TEST

/* Paused while the worker sleeps, resumed later: nothing of the time between. */
START_TEST(paused_and_resumed)
{
    struct kit k;
    open_working(&k, count_handler);
    add(&k, "s", "none", "0 * * * *", JOBQ_MISSED_ALL);
    kit_turns(k.w);
    ck_assert_int_eq(jobq_schedule_pause(k.q, "s"), JOBQ_OK);
    kit_tick(&k, 7 * HOUR);
    kit_turns(k.w);
    ck_assert_int_eq(jobq_schedule_resume(k.q, "s"), JOBQ_OK);
    kit_turns(k.w);
    ck_assert_uint_eq(job_count(&k), 0);
    tick_to(&k, next(&k, "s"));
    kit_turns(k.w);
    ck_assert_uint_eq(job_count(&k), 1);
    kit_close(&k);
}
END_TEST

KIT_MAIN("schedule", wakes_for_the_tick_and_runs_it, whatever_queue_it_serves, two_workers_fire_each_time_once,
         racing_workers, missed_runs, full_queue_is_no_hot_loop, paused_and_resumed)
