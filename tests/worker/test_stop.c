/* SPDX-License-Identifier: MIT */
/* Stopping: nothing new, what was not started goes back for free, what runs has its grace. And early
 * acknowledgement. */
#include "kit.h"

#include <signal.h>
#include <string.h>

/* `count` jobs in hand, `threads` of them inside the gate. */
static void hold_many(struct kit *k, size_t threads, size_t batch, struct jobq_id *ids, size_t count)
{
    kit_open(k);
    kit_worker(k, threads, batch, 0);
    jobq_worker_handle(k->w, NULL, gate_handler, k);
    for (size_t i = 0; i < count; i++)
        ids[i] = kit_put(k, "work", "x");
    kit_turns(k->w);
    gate_wait_started(&k->gate, (int)threads);
}

static size_t registered(struct kit *k)
{
    struct jobq_stats *stats;
    size_t count;

    ck_assert_int_eq(jobq_stats(k->q, NULL, &stats), JOBQ_OK);
    count = stats->worker_count;
    if (count) {
        ck_assert_str_eq(stats->workers[0].name, "w1");
        ck_assert_str_eq(stats->workers[0].queues, "work");
        ck_assert_int_eq(stats->workers[0].lease_ms, LEASE);
    }
    jobq_stats_free(stats);
    return count;
}

START_TEST(what_was_not_started_is_released) /* L6; rule 7 */
{
    struct kit k;
    struct jobq_id ids[4];
    int rc, released = 0;

    hold_many(&k, 1, 3, ids, 4);
    ck_assert_uint_eq(KIT_COUNT(k.w, claimed), 4);
    ck_assert_uint_eq(registered(&k), 1);
    jobq_worker_stop(k.w);
    kit_turns(k.w);
    ck_assert_uint_eq(KIT_COUNT(k.w, released), 3);
    for (int i = 0; i < 4; i++) {
        const struct jobq_job *job = kit_job(&k, &ids[i]);
        ck_assert_int_eq(job->failures, 0);
        ck_assert_int_eq(job->attempt, 1);
        released += job->state == JOBQ_READY && job->releases == 1;
    }
    ck_assert_int_eq(released, 3);
    ck_assert_uint_eq(jobq_ctx_flags(k.gate.last), JOBQ_CTX_STOPPING);
    kit_put(&k, "work", "x");
    kit_tick(&k, 100);
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    ck_assert_uint_eq(KIT_COUNT(k.w, claimed), 4); /* nothing new */
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    while ((rc = jobq_worker_dispatch(k.w)) == JOBQ_OK)
        ;
    ck_assert_int_eq(rc, JOBQ_ALREADY);
    ck_assert_uint_eq(KIT_COUNT(k.w, completed), 1); /* who finished in time handed in */
    ck_assert_uint_eq(registered(&k), 0);            /* rule 17 */
    kit_close(&k);
}
END_TEST

START_TEST(heartbeats_go_on_during_grace)
{
    struct kit k;
    struct jobq_id id;

    hold_many(&k, 1, 1, &id, 1);
    k.w->grace_ms = 5 * LEASE;
    jobq_worker_stop(k.w);
    kit_turns(k.w);
    for (int64_t lived = 0; lived < 4 * LEASE;) {
        int64_t next = jobq_worker_next_ms(k.w);
        ck_assert_int_le(next, LEASE / 3);
        kit_tick(&k, next);
        lived += next;
        kit_turns(k.w);
        ck_assert_int_eq(kit_job(&k, &id)->stuck, 0);
    }
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 1);
    kit_close(&k);
}
END_TEST

START_TEST(after_grace_the_lease_runs_out)
{
    struct kit k;
    struct jobq_id id;
    uint64_t before;
    size_t swept;

    hold_many(&k, 1, 1, &id, 1);
    jobq_worker_stop(k.w);
    kit_turns(k.w);
    kit_tick(&k, 10000);
    kit_turns(k.w);
    before = KIT_COUNT(k.w, exchanges);
    for (int i = 0; i < 12; i++) {
        kit_tick(&k, LEASE / 4);
        ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK); /* waits for the handler */
    }
    ck_assert_uint_eq(KIT_COUNT(k.w, exchanges), before);
    ck_assert_int_eq(jobq_sweep(k.q, 10, &swept), JOBQ_OK);
    ck_assert_uint_eq(swept, 1);
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    kit_turns(k.w);
    ck_assert_int_eq(k.w->phase, PHASE_ENDED);
    ck_assert_uint_eq(KIT_COUNT(k.w, lost), 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_READY);
    kit_close(&k);
}
END_TEST

START_TEST(a_late_success_counts_if_nobody_swept) /* rule 2 */
{
    struct kit k;
    struct jobq_id id;

    hold_many(&k, 1, 1, &id, 1);
    jobq_worker_stop(k.w);
    kit_turns(k.w);
    kit_tick(&k, 10000 + LEASE);
    kit_turns(k.w);
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    kit_turns(k.w);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    ck_assert_int_eq(k.w->phase, PHASE_ENDED);
    kit_close(&k);
}
END_TEST

START_TEST(stopped_before_it_ran)
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_put(&k, "work", "x");
    jobq_worker_stop(k.w); /* a signal may come that early */
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    ck_assert_uint_eq(KIT_COUNT(k.w, claimed), 0);
    kit_close(&k);
}
END_TEST

static struct jobq_worker *signalled;

static void on_signal(int number)
{
    (void)number;
    jobq_worker_stop(signalled);
}

static int raise_handler(struct jobq_ctx *ctx, void *user)
{
    (void)ctx;
    (void)user;
    raise(SIGUSR1);
    return JOBQ_DONE;
}

START_TEST(stopped_from_a_signal_handler)
{
    struct kit k;
    struct sigaction action = { .sa_handler = on_signal };
    struct jobq_id id;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    signalled = k.w;
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    jobq_worker_handle(k.w, NULL, raise_handler, &k);
    id = kit_put(&k, "work", "x");
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    kit_close(&k);
}
END_TEST

START_TEST(destroy_is_a_stop)
{
    struct kit k;
    struct jobq_id ids[4];

    hold_many(&k, 2, 2, ids, 4);
    gate_open(&k.gate, -1, JOBQ_DONE);
    jobq_worker_destroy(k.w);
    k.w = NULL;
    for (int i = 0; i < 4; i++) {
        int state = kit_job(&k, &ids[i])->state;
        ck_assert(state == JOBQ_COMPLETED || state == JOBQ_READY);
    }
    ck_assert_uint_eq(registered(&k), 0);
    kit_close(&k);
}
END_TEST

static int destroying_handler(struct jobq_ctx *ctx, void *user)
{
    (void)user;
    jobq_worker_destroy(ctx->worker);
    return jobq_last_error()->status == JOBQ_STATE ? JOBQ_DONE : JOBQ_GIVE_UP;
}

START_TEST(a_handler_cannot_destroy_its_worker)
{
    struct kit k;
    struct jobq_id id;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, destroying_handler, &k);
    id = kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, completed, 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    kit_close(&k);
}
END_TEST

/* ---- asked by an operator ------------------------------------------------------------------------------- */

START_TEST(rule_17_an_operator_asks_it_to_end)
{
    struct kit k;
    struct jobq_id ids[3];
    int rc;

    memset(&kit_heard, 0, sizeof kit_heard);
    kit_open(&k);
    ck_assert_int_eq(jobq_ask_stop(k.q, "w1"), JOBQ_NOT_FOUND);
    ck_assert_str_eq(jobq_last_error()->field, "worker");
    ck_assert_int_eq(jobq_ask_stop(k.q, ""), JOBQ_INVALID);
    kit_worker(&k, 1, 2, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    jobq_worker_notify(k.w, kit_listen, NULL);
    for (int i = 0; i < 3; i++)
        ids[i] = kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    ck_assert_int_eq(jobq_ask_stop(k.q, "w2"), JOBQ_NOT_FOUND);
    ck_assert_int_eq(jobq_ask_stop(k.q, "w1"), JOBQ_OK);
    kit_turns(k.w);
    kit_tick(&k, LEASE / 3); /* the next heartbeat */
    kit_turns(k.w);          /* and it is heard without waiting for anything else */
    ck_assert_uint_eq(KIT_COUNT(k.w, released), 2);
    ck_assert_uint_eq(jobq_ctx_flags(k.gate.last), JOBQ_CTX_STOPPING);
    kit_expect_heard(0, JOBQ_NOTICE_ASKED, "w1");
    kit_tick(&k, LEASE / 4);
    kit_turns(k.w);
    ck_assert_int_eq(kit_heard.count, 1); /* once */
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    while ((rc = jobq_worker_dispatch(k.w)) == JOBQ_OK)
        ;
    ck_assert_int_eq(rc, JOBQ_ALREADY);
    ck_assert_int_eq(kit_job(&k, &ids[0])->state, JOBQ_COMPLETED);
    ck_assert_uint_eq(registered(&k), 0);
    ck_assert_int_eq(jobq_ask_stop(k.q, "w1"), JOBQ_NOT_FOUND); /* it has left */
    kit_close(&k);
}
END_TEST

/* ---- early acknowledgement: at most once, by choice --------------------------------------------------- */

static int early_handler(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;
    struct jobq_spec spec = { .size = sizeof spec, .queue = "later" };
    struct jobq_jobs *jobs;

    ck_assert_int_eq(jobq_get(k->q, &jobq_ctx_job(ctx)->id, &jobs), JOBQ_OK);
    ck_assert_int_eq(jobs->jobs[0].state, JOBQ_COMPLETED); /* before the handler starts */
    ck_assert_int_eq(jobs->jobs[0].reason, JOBQ_REASON_EARLY_ACK);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(jobq_ctx_then(ctx, &spec, NULL), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_ctx_progress(ctx, "x", 1), JOBQ_OK);
    atomic_fetch_add(&k->calls, 1);
    return JOBQ_RETRY; /* too late to say so */
}

START_TEST(early_ack_is_seen_before_the_start) /* rule 1 */
{
    struct kit k;
    struct jobq_id id;

    kit_open(&k);
    kit_worker(&k, 2, 2, JOBQ_WORKER_ACK_EARLY);
    jobq_worker_handle(k.w, NULL, early_handler, &k);
    id = kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, completed, 1);
    kit_until_ended(&k);
    kit_turns(k.w);
    ck_assert_int_eq(atomic_load(&k.calls), 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    ck_assert_uint_eq(k.w->held, 0);
    kit_close(&k);
}
END_TEST

START_TEST(early_acked_jobs_are_run_before_the_end)
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 1, 3, JOBQ_WORKER_ACK_EARLY);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    for (int i = 0; i < 4; i++)
        kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, completed, 4);
    gate_wait_started(&k.gate, 1);
    jobq_worker_stop(k.w);
    ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    gate_open(&k.gate, -1, JOBQ_DONE);
    ck_assert_int_eq(jobq_worker_run(k.w), JOBQ_OK);
    ck_assert_int_eq(k.gate.started, 4); /* nobody else would ever run them */
    kit_close(&k);
}
END_TEST

KIT_MAIN("stop", what_was_not_started_is_released, heartbeats_go_on_during_grace,
         after_grace_the_lease_runs_out, a_late_success_counts_if_nobody_swept, stopped_before_it_ran,
         stopped_from_a_signal_handler, destroy_is_a_stop, a_handler_cannot_destroy_its_worker,
         rule_17_an_operator_asks_it_to_end,
         early_ack_is_seen_before_the_start, early_acked_jobs_are_run_before_the_end)
