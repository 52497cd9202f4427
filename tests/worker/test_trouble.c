/* SPDX-License-Identifier: MIT */
/* A store that fails, that does not answer, that refuses, that is slow. Nothing is lost and nothing
 * happens twice. */
#include "door.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- failing and healing ------------------------------------------------------------------------------ */

START_TEST(outcomes_outlive_a_failing_store) /* L3; S16 */
{
    struct kit k;
    struct jobq_id id;
    int64_t waited = 0;

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    id = kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    door.fail = 1000000;
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    for (int i = 0; i < 30; i++) { /* not spinning, never longer than 5 s */
        int calls = door.calls;
        ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
        ck_assert_int_eq(door.calls, calls + 1);
        int64_t next = jobq_worker_next_ms(k.w);
        ck_assert_int_gt(next, 0);
        ck_assert_int_le(next, RETRY_MOST_MS);
        ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK); /* too early: nothing is sent */
        ck_assert_int_eq(door.calls, calls + 1);
        kit_tick(&k, next);
        waited += next;
    }
    ck_assert_int_gt(waited, 30000);
    door.fail = 0;
    KIT_UNTIL(k.w, completed, 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    ck_assert_int_eq(kit_job(&k, &id)->attempt, 1);
    kit_close(&k);
}
END_TEST

START_TEST(heartbeats_travel_alone_after_a_failure) /* contract "Units" */
{
    struct kit k;

    open_behind_door(&k);
    kit_worker(&k, 2, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_put(&k, "work", "x");
    kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 2);
    door.fail = 1;
    gate_open(&k.gate, 1, JOBQ_DONE);
    while (door.fail) /* one is done and cannot be handed in, one is held */
        jobq_worker_dispatch(k.w);
    kit_tick(&k, jobq_worker_next_ms(k.w));
    int calls = door.calls;
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    ck_assert_int_eq(door.calls, calls + 1);
    ck_assert_uint_eq(door.last[door.calls % 64].beats, 1);
    ck_assert_uint_eq(door.last[door.calls % 64].changes, 0);
    ck_assert_uint_eq(door.last[door.calls % 64].want, 0);
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK); /* then the outcome */
    ck_assert_uint_eq(KIT_COUNT(k.w, completed), 1);
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 2);
    kit_close(&k);
}
END_TEST

START_TEST(a_failing_want_does_not_hold_up_acks) /* contract "Units" */
{
    struct kit k;
    struct jobq_id id;

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    id = kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    door.want_fails = 1000;
    kit_put(&k, "work", "y");
    kit_turns(k.w);
    ck_assert_int_gt(jobq_worker_next_ms(k.w), 0);
    ck_assert_int_le(jobq_worker_next_ms(k.w), RETRY_MOST_MS);
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK); /* at once */
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    door.want_fails = 0;
    live_until_completed(&k, 2);
    kit_close(&k);
}
END_TEST

/* ---- lost answers ------------------------------------------------------------------------------------- */

static int follow_handler(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;
    struct jobq_spec spec = { .size = sizeof spec, .queue = "later" };

    atomic_fetch_add(&k->calls, 1);
    ck_assert_int_eq(jobq_ctx_then(ctx, &spec, NULL), JOBQ_OK);
    return JOBQ_DONE;
}

static void expect_totals(struct kit *k, uint64_t done)
{
    struct jobq_stats *stats;

    ck_assert_int_eq(jobq_stats(k->q, "work", &stats), JOBQ_OK);
    ck_assert_uint_eq(stats->queues[0].present[JOBQ_COMPLETED], done);
    ck_assert_uint_eq(stats->queues[0].completed_total, done);
    ck_assert_uint_eq(stats->queues[0].present[JOBQ_RUNNING] + stats->queues[0].present[JOBQ_READY], 0);
    jobq_stats_free(stats);
    ck_assert_int_eq(jobq_stats(k->q, "later", &stats), JOBQ_OK);
    ck_assert_uint_eq(stats->queues[0].present[JOBQ_READY], done); /* each follow-up once */
    jobq_stats_free(stats);
}

#define JOBS 20

/* Jobs with a follow-up each; exchange number `at` and its repeats have the fault. */
static int run_with_fault(int at, int fault, int length)
{
    struct kit k;
    int fired;

    open_behind_door(&k);
    kit_worker(&k, 2, 1, 0);
    jobq_worker_handle(k.w, NULL, follow_handler, &k);
    for (int i = 0; i < JOBS; i++)
        kit_put(&k, "work", "x");
    door.calls = 0;
    door.fault = fault;
    door.fault_at = at;
    door.fault_length = length;
    live_until_completed(&k, JOBS);
    ck_assert_int_eq(atomic_load(&k.calls), JOBS); /* started once each */
    expect_totals(&k, JOBS);
    fired = door.fired;
    kit_close(&k);
    return fired;
}

START_TEST(every_exchange_may_fail) /* S1, S3, S11, S16 */
{
    int fired = 0;

    for (int at = 1; at <= 8; at++)
        fired += run_with_fault(at, JOBQ_FAILED, 1);
    ck_assert_int_ge(fired, 8);
}
END_TEST

START_TEST(every_answer_may_be_lost_and_repeated) /* S3, S11 */
{
    int fired = 0;

    for (int at = 1; at <= 8; at++)
        fired += run_with_fault(at, JOBQ_UNKNOWN, 2);
    ck_assert_int_ge(fired, 8);
}
END_TEST

/* The answer is lost for longer than the handle repeats: the worker learns UNKNOWN. */
static void run_with_silence(int at)
{
    struct kit k;

    open_behind_door(&k);
    kit_worker(&k, 2, 1, 0);
    jobq_worker_handle(k.w, NULL, follow_handler, &k);
    for (int i = 0; i < 6; i++)
        kit_put(&k, "work", "x");
    door.calls = 0;
    for (int turn = 1; KIT_COUNT(k.w, completed) < 6; turn++) {
        ck_assert_int_lt(turn, 500);
        if (turn == at)
            door.unknown = 1000;
        ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
        door.unknown = 0;
        kit_until_ended(&k);
        int64_t next = jobq_worker_next_ms(k.w);
        if (next > 0 && next <= RETRY_MOST_MS)
            kit_tick(&k, next);
    }
    ck_assert_int_eq(atomic_load(&k.calls), 6);
    expect_totals(&k, 6);
    kit_close(&k);
}

START_TEST(an_outcome_is_repeated_until_it_is_known) /* S3, S11; a claim that was given up goes back */
{
    int fired = 0;

    for (int at = 1; at <= 6; at++) {
        run_with_silence(at);
        fired += door.fired;
    }
    ck_assert_int_ge(fired, 6);
}
END_TEST

START_TEST(early_acks_survive_lost_answers) /* rule 1: at most once, and here not lost either */
{
    for (int at = 1; at <= 5; at++) {
        struct kit k;
        open_behind_door(&k);
        kit_worker(&k, 2, 1, JOBQ_WORKER_ACK_EARLY);
        jobq_worker_handle(k.w, NULL, count_handler, &k);
        for (int i = 0; i < 3; i++)
            kit_put(&k, "work", "x");
        door.calls = 0;
        for (int turn = 1; KIT_COUNT(k.w, completed) < 3 || k.w->held; turn++) {
            ck_assert_int_lt(turn, 500);
            if (turn == at)
                door.unknown = 1000;
            ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
            door.unknown = 0;
            kit_until_ended(&k);
            int64_t next = jobq_worker_next_ms(k.w);
            if (next > 0 && next <= RETRY_MOST_MS)
                kit_tick(&k, next);
        }
        ck_assert_int_eq(atomic_load(&k.calls), 3);
        kit_close(&k);
    }
}
END_TEST

START_TEST(a_stale_ack_brings_no_follow_ups) /* rules 1, 2; S2 */
{
    struct kit k;
    struct jobq_id id;
    size_t swept;
    struct jobq_stats *stats;

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, follow_handler, &k);
    id = kit_put(&k, "work", "x");
    jobq_worker_dispatch(k.w); /* record and sweep */
    jobq_worker_dispatch(k.w); /* claim */
    kit_until_ended(&k);
    ck_assert_int_eq(jobq_clock_advance(k.q, LEASE), JOBQ_OK);
    ck_assert_int_eq(jobq_sweep(k.q, 10, &swept), JOBQ_OK);
    ck_assert_uint_eq(swept, 1);
    jobq_pause(k.q, "work");
    kit_turns(k.w);
    ck_assert_uint_eq(KIT_COUNT(k.w, lost), 1);
    ck_assert_uint_eq(KIT_COUNT(k.w, completed), 0);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_READY);
    ck_assert_int_eq(jobq_stats(k.q, "later", &stats), JOBQ_OK);
    ck_assert(stats->queue_count == 0 || stats->queues[0].present[JOBQ_READY] == 0);
    jobq_stats_free(stats);
    kit_close(&k);
}
END_TEST

/* ---- slow --------------------------------------------------------------------------------------------- */

START_TEST(who_waited_long_beats_and_does_not_sweep) /* contract "Wants" */
{
    struct kit k;
    int64_t slow_end;

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    kit_tick(&k, 13000); /* beat and sweep are due */
    door.slow_ms = LEASE / 3 + 1;
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    door.slow_ms = 0;
    slow_end = atomic_load(&k.clock);
    ck_assert_int_eq(jobq_worker_next_ms(k.w), 0);
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    ck_assert_uint_eq(door.last[door.calls % 64].beats, 1);
    while (atomic_load(&k.clock) < slow_end + LEASE / 3) {
        ck_assert_uint_ne(door.last[door.calls % 64].want, JOBQ_WANT_OVERDUE);
        kit_turns(k.w);
        kit_tick(&k, jobq_worker_next_ms(k.w));
    }
    kit_turns(k.w);
    bool swept = false;
    for (int i = 0; i < 64; i++)
        swept |= door.last[i].want == JOBQ_WANT_OVERDUE;
    ck_assert(swept);
    kit_close(&k);
}
END_TEST

/* ---- the store's wake-up ------------------------------------------------------------------------------ */

static int door_wake_fd(struct jobq_store *store)
{
    (void)store;
    return door.event;
}

static int door_wake_drain(struct jobq_store *store)
{
    uint64_t count;

    (void)store;
    ck_assert_int_eq((int)read(door.event, &count, sizeof count), (int)sizeof count);
    return door.alarm;
}

static void wake_up(struct kit *k, int alarm)
{
    uint64_t one = 1;
    struct pollfd fd = { .fd = jobq_worker_fd(k->w), .events = POLLIN };

    door.alarm = alarm;
    ck_assert_int_eq((int)write(door.event, &one, sizeof one), (int)sizeof one);
    ck_assert_int_eq(poll(&fd, 1, 0), 1); /* the one descriptor shows it */
    kit_turns(k->w);
    ck_assert_int_eq(poll(&fd, 1, 0), 0);
}

START_TEST(false_alarms_make_no_exchange)
{
    struct kit k;
    int calls;

    struct jobq_backend *backend = door_open(&k);
    backend->wake_fd = door_wake_fd;
    backend->wake_drain = door_wake_drain;
    door.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    kit_open_with(&k, backend);
    door.kit = &k;
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_turns(k.w);
    calls = door.calls;
    for (int i = 0; i < 20; i++)
        wake_up(&k, 0);
    ck_assert_int_eq(door.calls, calls);
    wake_up(&k, 1);
    ck_assert_int_gt(door.calls, calls);
    atomic_fetch_add(&k.clock, jobq_worker_next_ms(k.w)); /* one more look for a job that must run alone */
    kit_turns(k.w);
    ck_assert_int_gt(jobq_worker_next_ms(k.w), 5000); /* asks seldom, because it is told */
    kit_close(&k);
    close(door.event);
}
END_TEST

START_TEST(two_workers_hear_one_alarm)
{
    struct kit k;
    struct jobq_worker *other;
    uint64_t one = 1;

    struct jobq_backend *backend = door_open(&k);
    backend->wake_fd = door_wake_fd;
    backend->wake_drain = door_wake_drain;
    door.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    kit_open_with(&k, backend);
    door.kit = &k;
    door.alarm = 1;
    kit_worker(&k, 1, 1, 0);
    other = kit_another(&k, k.q, "w2", 1, 1, 0);
    jobq_worker_handle(k.w, "none", count_handler, &k);
    jobq_worker_handle(other, "job", count_handler, &k);
    kit_turns(k.w);
    kit_turns(other);
    ck_assert_int_eq((int)write(door.event, &one, sizeof one), (int)sizeof one);
    kit_turns(k.w); /* takes the alarm away */
    struct pollfd fd = { .fd = jobq_worker_fd(other), .events = POLLIN };
    ck_assert_int_eq(poll(&fd, 1, 0), 1);
    int calls = door.calls;
    kit_turns(other);
    ck_assert_int_gt(door.calls, calls);
    jobq_worker_destroy(other);
    kit_close(&k);
    close(door.event);
}
END_TEST

START_TEST(without_a_wake_up_it_asks)
{
    struct kit k;

    struct jobq_backend *backend = door_open(&k);
    backend->wake_fd = NULL;
    kit_open_with(&k, backend);
    door.kit = &k;
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_turns(k.w);
    ck_assert_int_le(jobq_worker_next_ms(k.w), 5000);
    kit_close(&k);
}
END_TEST

/* ---- ending while the store is dead ------------------------------------------------------------------- */

START_TEST(the_end_comes_also_without_a_store)
{
    struct kit k;
    int rc = JOBQ_OK;

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    door.fail = 1000000;
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    jobq_worker_stop(k.w);
    for (int i = 0; i < 100 && rc == JOBQ_OK; i++) {
        rc = jobq_worker_dispatch(k.w);
        if (rc == JOBQ_OK)
            atomic_fetch_add(&k.clock, jobq_worker_next_ms(k.w));
    }
    ck_assert_int_eq(rc, JOBQ_FAILED); /* said, not hidden */
    ck_assert_ptr_nonnull(strstr(jobq_last_error()->text, "1 outcome"));
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_ALREADY);
    door.fail = 0;
    kit_close(&k);
}
END_TEST

KIT_MAIN("trouble", outcomes_outlive_a_failing_store, heartbeats_travel_alone_after_a_failure,
         a_failing_want_does_not_hold_up_acks, every_exchange_may_fail, every_answer_may_be_lost_and_repeated,
         an_outcome_is_repeated_until_it_is_known, early_acks_survive_lost_answers,
         a_stale_ack_brings_no_follow_ups, who_waited_long_beats_and_does_not_sweep,
         false_alarms_make_no_exchange, two_workers_hear_one_alarm, without_a_wake_up_it_asks,
         the_end_comes_also_without_a_store)
