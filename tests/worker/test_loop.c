/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* gettid */
/* The loop: one exchange per turn, deadlines, kinds, weights, draining, and what is left behind.
 * The rules are those of lifecycle.md. */
#include "kit.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- exchanges ---------------------------------------------------------------------------------------- */

START_TEST(a_batch_is_one_exchange)
{
    struct kit k;
    uint64_t before;

    kit_open(&k);
    kit_worker(&k, 4, 100, 0);
    jobq_worker_handle(k.w, "noop", count_handler, &k);
    kit_turns(k.w); /* the first record, sweep and claim */
    before = KIT_COUNT(k.w, exchanges);
    for (int i = 0; i < 100; i++)
        kit_put(&k, "work", "noop");
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    ck_assert_uint_eq(KIT_COUNT(k.w, claimed), 100);
    ck_assert_uint_eq(KIT_COUNT(k.w, exchanges), before + 1);
    kit_until_ended(&k);
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    ck_assert_uint_eq(KIT_COUNT(k.w, completed), 100);
    ck_assert_uint_eq(KIT_COUNT(k.w, exchanges), before + 2);
    ck_assert_int_eq(atomic_load(&k.calls), 100);
    kit_close(&k);
}
END_TEST

START_TEST(idle_means_no_exchange)
{
    struct kit k;
    uint64_t before;
    int64_t idle = 0;

    kit_open(&k);
    kit_worker(&k, 2, 2, 0);
    jobq_worker_handle(k.w, "noop", count_handler, &k);
    kit_turns(k.w);
    before = KIT_COUNT(k.w, exchanges);
    while (idle < 10000) { /* ten idle seconds, as a loop would live them */
        int64_t next = jobq_worker_next_ms(k.w);
        ck_assert_int_gt(next, 0);
        for (int i = 0; i < 50; i++) { /* woken for nothing */
            waker_ring(&k.w->waker);
            ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
        }
        kit_tick(&k, next);
        idle += next;
        kit_turns(k.w);
    }
    ck_assert_uint_gt(KIT_COUNT(k.w, exchanges), before);
    ck_assert_uint_le(KIT_COUNT(k.w, exchanges) - before, 20);
    kit_close(&k);
}
END_TEST

/* Where the store tells of news, five minutes with nothing to do are 50 calls: with those that ask whether the
 * line is alive, every half a minute, no more than 0.2 a second. */
START_TEST(idle_asks_seldom)
{
    struct kit k;
    uint64_t before = 0;

    kit_open(&k);
    kit_worker(&k, 2, 2, 0);
    ck_assert_int_ge(k.w->waker.store, 0);
    jobq_worker_handle(k.w, "noop", count_handler, &k);
    kit_turns(k.w);
    for (int64_t idle = -60000; idle < 300000;) { /* first whatever the beginning brings */
        int64_t next = jobq_worker_next_ms(k.w);
        if (idle < 0)
            before = KIT_COUNT(k.w, exchanges);
        atomic_fetch_add(&k.clock, next); /* not the store's: to move that is news */
        idle += next;
        kit_turns(k.w);
    }
    ck_assert_uint_gt(KIT_COUNT(k.w, exchanges), before);
    ck_assert_uint_le(KIT_COUNT(k.w, exchanges) - before, 52);
    kit_close(&k);
}
END_TEST

START_TEST(enqueue_on_the_same_handle_wakes) /* L1 */
{
    struct kit k;
    struct pollfd fd = { .events = POLLIN };

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, "noop", count_handler, &k);
    fd.fd = jobq_worker_fd(k.w);
    kit_turns(k.w);
    ck_assert_int_eq(poll(&fd, 1, 0), 0);
    kit_put(&k, "work", "noop");
    ck_assert_int_eq(poll(&fd, 1, 0), 1);
    KIT_UNTIL(k.w, completed, 1);
    kit_close(&k);
}
END_TEST

START_TEST(enqueue_on_another_handle_wakes) /* L1 */
{
    struct kit k, other;
    struct pollfd fd = { .events = POLLIN };

    kit_open(&k);
    kit_join(&other, &k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, "noop", count_handler, &k);
    fd.fd = jobq_worker_fd(k.w);
    kit_turns(k.w);
    kit_put(&other, "work", "noop");
    ck_assert_int_eq(poll(&fd, 1, -1), 1);
    KIT_UNTIL(k.w, completed, 1);
    kit_close(&other);
    kit_close(&k);
}
END_TEST

START_TEST(a_delayed_job_starts_at_its_time) /* L1; rule 7 */
{
    struct kit k;
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .delay_ms = 3000 };

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_put_spec(&k, &spec);
    kit_turns(k.w);
    ck_assert_int_le(jobq_worker_next_ms(k.w), 3000);
    ck_assert_int_gt(jobq_worker_next_ms(k.w), 2000);
    kit_tick(&k, 3000);
    KIT_UNTIL(k.w, completed, 1);
    kit_close(&k);
}
END_TEST

START_TEST(one_thread_under_poll)
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 3, 3, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    for (int i = 0; i < 20; i++)
        kit_put(&k, "work", "x");
    struct pollfd fd = { .fd = jobq_worker_fd(k.w), .events = POLLIN };
    while (KIT_COUNT(k.w, completed) < 20) {
        int64_t next = jobq_worker_next_ms(k.w);
        poll(&fd, 1, next > 60000 ? 60000 : (int)next);
        ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    }
    jobq_worker_stop(k.w);
    int rc;
    while ((rc = jobq_worker_dispatch(k.w)) == JOBQ_OK)
        ;
    ck_assert_int_eq(rc, JOBQ_ALREADY);
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_ALREADY);
    kit_close(&k);
}
END_TEST

/* ---- progress ----------------------------------------------------------------------------------------- */

START_TEST(progress_is_shown_and_rides_along)
{
    struct kit k;
    struct jobq_id id;
    uint64_t before;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    id = kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    before = KIT_COUNT(k.w, exchanges);
    ck_assert_int_eq(jobq_ctx_progress(k.gate.last, "10%", 3), JOBQ_OK);
    kit_tick(&k, PROGRESS_EVERY_MS);
    kit_turns(k.w);
    ck_assert_mem_eq(kit_job(&k, &id)->progress.data, "10%", 3);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(jobq_ctx_progress(k.gate.last, "20%", 3), JOBQ_OK);
        kit_turns(k.w);
    }
    ck_assert_uint_eq(KIT_COUNT(k.w, exchanges), before + 1); /* often costs nothing */
    kit_tick(&k, PROGRESS_EVERY_MS);
    kit_turns(k.w);
    ck_assert_uint_eq(KIT_COUNT(k.w, exchanges), before + 2);
    ck_assert_mem_eq(kit_job(&k, &id)->progress.data, "20%", 3);
    ck_assert_int_eq(jobq_ctx_progress(k.gate.last, "all", 3), JOBQ_OK);
    ck_assert_int_eq(jobq_ctx_progress(k.gate.last, "x", 4097), JOBQ_INVALID);
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 1);
    ck_assert_mem_eq(kit_job(&k, &id)->progress.data, "all", 3);
    kit_close(&k);
}
END_TEST

/* ---- kinds, queues ------------------------------------------------------------------------------------ */

START_TEST(an_unknown_kind_is_not_claimed) /* rule 17 */
{
    struct kit k;
    struct jobq_id other;

    kit_open(&k);
    kit_worker(&k, 1, 4, 0);
    jobq_worker_handle(k.w, "known", count_handler, &k);
    other = kit_put(&k, "work", "unknown");
    kit_put(&k, "work", "known");
    KIT_UNTIL(k.w, completed, 1);
    kit_turns(k.w);
    ck_assert_int_eq(kit_job(&k, &other)->state, JOBQ_READY);
    ck_assert_int_eq(kit_job(&k, &other)->attempt, 0);
    kit_close(&k);
}
END_TEST

static int other_handler(struct jobq_ctx *ctx, void *user)
{
    int *calls = user;

    ck_assert_str_ne(jobq_ctx_job(ctx)->kind, "known");
    ++*calls;
    return JOBQ_DONE;
}

START_TEST(the_handler_of_its_kind_or_of_the_rest)
{
    struct kit k;
    int others = 0;

    kit_open(&k);
    kit_worker(&k, 1, 4, 0);
    jobq_worker_handle(k.w, NULL, other_handler, &others);
    jobq_worker_handle(k.w, "known", count_handler, &k);
    kit_put(&k, "work", "known");
    kit_put(&k, "work", "a");
    kit_put(&k, "work", "b");
    KIT_UNTIL(k.w, completed, 3);
    ck_assert_int_eq(atomic_load(&k.calls), 1);
    ck_assert_int_eq(others, 2);
    kit_close(&k);
}
END_TEST

static int trail_handler(struct jobq_ctx *ctx, void *user)
{
    char *trail = user;

    strncat(trail, jobq_ctx_job(ctx)->queue, 1);
    return JOBQ_DONE;
}

static void run_queues(const int32_t *weights, char *trail)
{
    static const char *const queues[] = { "a", "b" };
    struct jobq_worker_options o = { .size = sizeof o, .queues = queues, .queue_count = 2, .weights = weights,
                                     .threads = 1, .batch = 1 };
    struct kit k;

    kit_open(&k);
    ck_assert_int_eq(jobq_worker_create(&k.w, k.q, &o), JOBQ_OK);
    jobq_worker_handle(k.w, NULL, trail_handler, trail);
    for (int i = 0; i < 20; i++) {
        kit_put(&k, "b", "x");
        kit_put(&k, "a", "x");
    }
    while (KIT_COUNT(k.w, completed) < 40) { /* two at a time */
        kit_until_ended(&k);
        ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    }
    kit_close(&k);
}

START_TEST(strict_order)
{
    char trail[64] = "";

    run_queues(NULL, trail);
    ck_assert_str_eq(trail, "aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb");
}
END_TEST

START_TEST(weights_share_the_turns)
{
    static const int32_t weights[] = { 3, 1 };
    char trail[64] = "";
    int b = 0;

    run_queues(weights, trail);
    for (int i = 0; i < 16; i++)
        b += trail[i] == 'b';
    ck_assert_int_ge(b, 2); /* a quarter of the turns, whatever waits in a */
    ck_assert_int_le(b, 6);
}
END_TEST

START_TEST(no_batch_holds_what_it_runs)
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 2, 0, JOBQ_WORKER_NO_BATCH);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    for (int i = 0; i < 5; i++)
        kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 2);
    ck_assert_uint_eq(KIT_COUNT(k.w, claimed), 2);
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 5);
    kit_close(&k);
}
END_TEST

START_TEST(two_workers_on_one_handle)
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    struct jobq_worker *other = kit_another(&k, k.q, "w1", 1, 1, 0); /* even of the same name */
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    jobq_worker_handle(other, NULL, count_handler, &k);
    for (int i = 0; i < 50; i++)
        kit_put(&k, "work", "x");
    while (KIT_COUNT(k.w, completed) + KIT_COUNT(other, completed) < 50) {
        jobq_worker_dispatch(k.w);
        jobq_worker_dispatch(other);
    }
    ck_assert_int_eq(atomic_load(&k.calls), 50);
    jobq_worker_destroy(other);
    kit_close(&k);
}
END_TEST

/* ---- draining, and what is left ----------------------------------------------------------------------- */

START_TEST(drain_ends_when_nothing_is_left)
{
    struct kit k;
    struct jobq_spec later = { .size = sizeof later, .queue = "work", .delay_ms = 3600000 };

    kit_open(&k);
    kit_worker(&k, 4, 4, JOBQ_WORKER_DRAIN);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    for (int i = 0; i < 100; i++)
        kit_put(&k, "work", "x");
    struct jobq_id id = kit_put_spec(&k, &later); /* scheduled does not count */
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    ck_assert_int_eq(atomic_load(&k.calls), 100);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_SCHEDULED);
    kit_close(&k);
}
END_TEST

START_TEST(drain_waits_for_what_others_run)
{
    struct kit k;
    struct jobq_jobs *jobs;
    const char *const queues[] = { "work" };
    struct jobq_claim_options claim = { .size = sizeof claim, .queues = queues, .queue_count = 1 };

    kit_open(&k);
    kit_worker(&k, 1, 1, JOBQ_WORKER_DRAIN);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_put(&k, "work", "x");
    ck_assert_int_eq(jobq_claim(k.q, &claim, &jobs), JOBQ_OK);
    kit_turns(k.w);
    for (int i = 0; i < 5; i++) {
        kit_tick(&k, jobq_worker_next_ms(k.w));
        ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    }
    ck_assert_int_eq(jobq_ack(k.q, &jobs->jobs[0].id, &jobs->jobs[0].token, NULL, 0), JOBQ_OK);
    jobq_jobs_free(jobs);
    int rc = JOBQ_OK;
    for (int i = 0; i < 20 && rc == JOBQ_OK; i++) {
        kit_tick(&k, jobq_worker_next_ms(k.w));
        rc = jobq_worker_dispatch(k.w);
    }
    ck_assert_int_eq(rc, JOBQ_ALREADY);
    kit_close(&k);
}
END_TEST

/* The system lists a joined thread for a moment longer. One that stays ends the test by its time limit. */
static void threads_become(size_t count)
{
    while (kit_threads() != count)
        sched_yield();
}

static void *own_number(void *arg)
{
    *(long *)arg = (long)gettid();
    return NULL;
}

/* A sanitizer starts threads of its own with the first one, so let that be over. */
static void start_the_first_thread(void)
{
    char path[64];
    pthread_t first;
    long number = 0;

    ck_assert_int_eq(pthread_create(&first, NULL, own_number, &number), 0);
    pthread_join(first, NULL);
    snprintf(path, sizeof path, "/proc/self/task/%ld", number);
    while (access(path, F_OK) == 0)
        sched_yield();
}

/* No hidden thread in the core, no descriptor that stays. */
START_TEST(a_handle_leaves_nothing_behind)
{
    const char *const queues[] = { "work" };
    const struct jobq_claim_options o = { .size = sizeof o, .queues = queues, .queue_count = 1, .limit = 1 };
    size_t threads = kit_threads(), fds = kit_descriptors();

    for (int i = 0; i < 3; i++) {
        struct kit k;
        struct jobq_jobs *jobs = NULL;
        kit_open(&k);
        kit_put(&k, "work", "noop");
        ck_assert_int_eq(jobq_claim(k.q, &o, &jobs), JOBQ_OK);
        ck_assert_uint_eq(jobs->count, 1);
        ck_assert_int_eq(jobq_ack(k.q, &jobs->jobs[0].id, &jobs->jobs[0].token, NULL, 0), JOBQ_OK);
        jobq_jobs_free(jobs);
        ck_assert_uint_eq(kit_threads(), threads);
        kit_close(&k);
        ck_assert_uint_eq(kit_descriptors(), fds);
    }
    ck_assert_uint_eq(kit_threads(), threads);
}
END_TEST

START_TEST(nothing_is_left_behind) /* threads and descriptors */
{
    struct kit k;

    start_the_first_thread();
    size_t threads = kit_threads(), fds = kit_descriptors();

    for (int round = 0; round < 3; round++) {
        kit_open(&k);
        kit_worker(&k, 4, 4, JOBQ_WORKER_DRAIN);
        jobq_worker_handle(k.w, NULL, count_handler, &k);
        threads_become(threads); /* none before it runs; those of the last round are gone */
        kit_put(&k, "work", "x");
        ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
        threads_become(threads); /* none after */
        kit_put(&k, "work", "x");
        ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK); /* and again */
        ck_assert_int_eq(atomic_load(&k.calls), 2);
        kit_close(&k);
    }
    threads_become(threads);
    ck_assert_uint_eq(kit_descriptors(), fds);
}
END_TEST

START_TEST(a_forked_child_is_refused) /* R3 */
{
    struct kit k;
    int status;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_turns(k.w);
    pid_t child = fork();
    if (child == 0) {
        int ok = jobq_worker_dispatch(k.w) == JOBQ_FORKED && jobq_worker_run(k.w) == JOBQ_FORKED &&
                 jobq_worker_fd(k.w) == JOBQ_FORKED;
        jobq_worker_destroy(k.w);
        if (ok)
            raise(SIGKILL); /* no exit: valgrind would count as lost what only threads knew that a child does not have */
        _exit(1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, SIGKILL);
    kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, completed, 1);
    kit_close(&k);
}
END_TEST

/* ---- bad input ---------------------------------------------------------------------------------------- */

static void refused(struct kit *k, const struct jobq_worker_options *o, const char *field)
{
    struct jobq_worker *w;

    ck_assert_int_eq(jobq_worker_create(&w, k->q, o), JOBQ_INVALID);
    ck_assert_ptr_null(w);
    ck_assert_str_eq(jobq_last_error()->field, field);
}

START_TEST(bad_options_name_the_field) /* rule 16 */
{
    static const char *const queues[] = { "a" }, *const empty[] = { "" };
    static const int32_t heavy[] = { 101 };
    struct jobq_worker_options good = { .size = sizeof good, .queues = queues, .queue_count = 1 }, o;
    struct kit k;

    kit_open(&k);
#define REFUSED(name, member, value)  \
    do {                              \
        o = good;                     \
        o.member = (value);           \
        refused(&k, &o, name);        \
    } while (0)
    REFUSED("queue_count", queue_count, 0);
    REFUSED("queue_count", queue_count, 65);
    REFUSED("queues", queues, NULL);
    REFUSED("queues", queues, empty);
    REFUSED("weights", weights, heavy);
    REFUSED("threads", threads, 1025);
    REFUSED("batch", batch, 1001);
    REFUSED("lease_ms", lease_ms, 99);
    REFUSED("lease_ms", lease_ms, 86400001);
    REFUSED("lease_ms", lease_ms, -1);
    REFUSED("grace_ms", grace_ms, -1);
    REFUSED("poll_ms", poll_ms, -1);
    REFUSED("flags", flags, 8);
    REFUSED("retry_percent", retry_percent, -1);
    REFUSED("retry_percent", retry_percent, 101);
    REFUSED("name", name, "");
    REFUSED("size", size, 3);
#undef REFUSED
    refused(&k, NULL, "options");
    kit_worker(&k, 1, 1, 0);
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_INVALID); /* no handler */
    ck_assert_str_eq(jobq_last_error()->field, "handler");
    ck_assert_int_eq(jobq_worker_handle(k.w, "", count_handler, &k), JOBQ_INVALID);
    ck_assert_int_eq(jobq_worker_handle(k.w, "x", NULL, &k), JOBQ_INVALID);
    kit_close(&k);
}
END_TEST

KIT_MAIN("loop", a_batch_is_one_exchange, idle_means_no_exchange, idle_asks_seldom, enqueue_on_the_same_handle_wakes,
         enqueue_on_another_handle_wakes, a_delayed_job_starts_at_its_time, one_thread_under_poll,
         progress_is_shown_and_rides_along, an_unknown_kind_is_not_claimed,
         the_handler_of_its_kind_or_of_the_rest, strict_order, weights_share_the_turns,
         no_batch_holds_what_it_runs, two_workers_on_one_handle, drain_ends_when_nothing_is_left,
         drain_waits_for_what_others_run, a_handle_leaves_nothing_behind,
         nothing_is_left_behind, a_forked_child_is_refused,
         bad_options_name_the_field)
