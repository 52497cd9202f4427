/* SPDX-License-Identifier: MIT */
/* Leases: kept by heartbeats, lost, cancelled, timed out, swept, and who runs alone. */
#include "kit.h"

#include <string.h>

/* ---- kept --------------------------------------------------------------------------------------------- */

START_TEST(heartbeats_keep_a_long_job) /* S4; at least three beats per lease, whatever the handlers do */
{
    struct kit k;
    struct jobq_id id;
    uint64_t before;
    int64_t lived = 0;
    size_t swept;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    id = kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    before = KIT_COUNT(k.w, exchanges);
    while (lived < 5 * LEASE) {
        int64_t next = jobq_worker_next_ms(k.w);
        ck_assert_int_le(next, LEASE / 3);
        kit_tick(&k, next);
        lived += next;
        kit_turns(k.w);
        ck_assert_int_eq(jobq_sweep(k.q, 10, &swept), JOBQ_OK);
        ck_assert_uint_eq(swept, 0);
    }
    ck_assert_uint_ge(KIT_COUNT(k.w, exchanges) - before, 15);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_RUNNING);
    ck_assert_int_eq(kit_job(&k, &id)->attempt, 1);
    ck_assert_int_eq(kit_job(&k, &id)->stuck, 0);
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 1);
    ck_assert_int_eq(kit_job(&k, &id)->attempt, 1);
    kit_close(&k);
}
END_TEST

/* One job inside the gate. */
static struct jobq_id hold_one(struct kit *k, const struct jobq_spec *spec)
{
    struct jobq_id id;

    kit_open(k);
    kit_worker(k, 1, 1, 0);
    jobq_worker_handle(k->w, NULL, gate_handler, k);
    id = spec ? kit_put_spec(k, spec) : kit_put(k, "work", "x");
    kit_turns(k->w);
    gate_wait_started(&k->gate, 1);
    return id;
}

/* ---- lost --------------------------------------------------------------------------------------------- */

START_TEST(a_lost_lease_is_flagged_and_its_outcome_refused) /* rules 1, 2; S2, S3 */
{
    struct kit k;
    struct jobq_id id = hold_one(&k, NULL);
    size_t swept;

    ck_assert_int_eq(jobq_clock_advance(k.q, LEASE), JOBQ_OK); /* this worker hangs: its clock stands still */
    ck_assert_int_eq(jobq_sweep(k.q, 10, &swept), JOBQ_OK);
    ck_assert_uint_eq(swept, 1);
    atomic_fetch_add(&k.clock, LEASE / 3);
    jobq_pause(k.q, "work"); /* so that it is not claimed again at once */
    kit_turns(k.w);
    ck_assert_uint_eq(jobq_ctx_flags(k.gate.last) & JOBQ_CTX_LOST, JOBQ_CTX_LOST);
    ck_assert_uint_eq(KIT_COUNT(k.w, lost), 1);
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    kit_turns(k.w);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_READY);
    ck_assert_int_eq(kit_job(&k, &id)->failures, 1);
    ck_assert_int_eq(kit_job(&k, &id)->crashes, 1);
    ck_assert_int_eq(kit_job(&k, &id)->failures_log[0].kind, JOBQ_ERROR_LOST);
    ck_assert_str_eq(kit_job(&k, &id)->failures_log[0].worker, "w1");
    ck_assert_uint_eq(KIT_COUNT(k.w, completed), 0);
    kit_close(&k);
}
END_TEST

START_TEST(a_late_ack_that_nobody_overtook_counts) /* rule 2 */
{
    struct kit k;
    struct jobq_id id = hold_one(&k, NULL);

    ck_assert_int_eq(jobq_clock_advance(k.q, 3 * LEASE), JOBQ_OK);
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    KIT_UNTIL(k.w, completed, 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    kit_close(&k);
}
END_TEST

START_TEST(one_lost_among_many_is_found)
{
    struct kit k;
    struct jobq_id ids[4];
    int lost = 0;

    kit_open(&k);
    kit_worker(&k, 4, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    for (int i = 0; i < 4; i++)
        ids[i] = kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 4);
    ck_assert_int_eq(jobq_cancel(k.q, &ids[2], JOBQ_CANCEL_HARD), JOBQ_OK);
    kit_tick(&k, LEASE / 3);
    kit_turns(k.w);
    for (struct claim *claim = k.w->claims; claim; claim = claim->next)
        for (size_t i = 0; i < claim->count; i++) {
            bool flagged = jobq_ctx_flags(&claim->jobs[i]) & JOBQ_CTX_LOST;
            ck_assert(flagged == (memcmp(&claim->jobs[i].job.id, &ids[2], sizeof ids[2]) == 0));
            lost += flagged;
        }
    ck_assert_int_eq(lost, 1);
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 3);
    ck_assert_int_eq(kit_job(&k, &ids[2])->state, JOBQ_CANCELLED);
    ck_assert_uint_eq(KIT_COUNT(k.w, lost), 1);
    kit_close(&k);
}
END_TEST

START_TEST(what_waited_too_long_is_not_started) /* S4: its lease passed by the worker's own clock */
{
    struct kit k;
    struct jobq_id second;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_put(&k, "work", "x");
    second = kit_put(&k, "work", "y");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    ck_assert_int_eq(kit_job(&k, &second)->state, JOBQ_RUNNING);
    jobq_pause(k.q, "work");
    kit_tick(&k, LEASE); /* and no turn meanwhile */
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    ck_assert_int_eq(k.gate.started, 1);
    KIT_UNTIL(k.w, released, 1);
    ck_assert_int_eq(kit_job(&k, &second)->state, JOBQ_READY);
    ck_assert_int_eq(kit_job(&k, &second)->failures, 0);
    kit_close(&k);
}
END_TEST

/* ---- cancelled ---------------------------------------------------------------------------------------- */

static void cancel_running(int outcome, int state)
{
    struct kit k;
    struct jobq_id id = hold_one(&k, NULL);

    ck_assert_uint_eq(jobq_ctx_flags(k.gate.last), 0);
    ck_assert_int_eq(jobq_cancel(k.q, &id, 0), JOBQ_OK);
    kit_tick(&k, LEASE / 3);
    kit_turns(k.w);
    ck_assert_uint_eq(jobq_ctx_flags(k.gate.last), JOBQ_CTX_CANCEL);
    gate_open(&k.gate, -1, outcome);
    kit_until_ended(&k);
    kit_turns(k.w);
    ck_assert_int_eq(kit_job(&k, &id)->state, state);
    kit_close(&k);
}

START_TEST(soft_cancel_a_success_still_counts) /* rule 6 */
{
    cancel_running(JOBQ_DONE, JOBQ_COMPLETED);
}
END_TEST

START_TEST(soft_cancel_anything_else_is_cancelled) /* rule 6; the outcome is computed again */
{
    cancel_running(JOBQ_RETRY, JOBQ_CANCELLED);
    cancel_running(JOBQ_SNOOZE, JOBQ_CANCELLED);
    cancel_running(JOBQ_RELEASE, JOBQ_CANCELLED);
    cancel_running(JOBQ_GIVE_UP, JOBQ_CANCELLED);
}
END_TEST

START_TEST(soft_cancel_unnoticed) /* design "policy from an old copy": OUTDATED is computed again */
{
    struct kit k;
    struct jobq_id id = hold_one(&k, NULL);

    ck_assert_int_eq(jobq_cancel(k.q, &id, 0), JOBQ_OK);
    gate_open(&k.gate, -1, JOBQ_RETRY);
    kit_until_ended(&k);
    kit_turns(k.w);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_CANCELLED);
    kit_close(&k);
}
END_TEST

START_TEST(cancelled_before_it_started_is_not_started) /* rule 6 */
{
    struct kit k;
    struct jobq_id second;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_put(&k, "work", "x");
    second = kit_put(&k, "work", "y");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    ck_assert_int_eq(jobq_cancel(k.q, &second, 0), JOBQ_OK);
    kit_tick(&k, LEASE / 3);
    kit_turns(k.w);
    gate_open(&k.gate, -1, JOBQ_DONE);
    kit_until_ended(&k);
    kit_turns(k.w);
    ck_assert_int_eq(k.gate.started, 1);
    ck_assert_int_eq(kit_job(&k, &second)->state, JOBQ_CANCELLED);
    kit_close(&k);
}
END_TEST

/* ---- timed out ---------------------------------------------------------------------------------------- */

START_TEST(a_timeout_is_told_when_it_passes) /* rule 5 */
{
    struct kit k;
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .timeout_ms = 5000 };
    struct jobq_id id = hold_one(&k, &spec);

    ck_assert_int_le(jobq_worker_next_ms(k.w), 5000);
    k.w->sweep_at_ms = NEVER; /* nobody judges it here */
    kit_tick(&k, 5000);
    kit_turns(k.w);
    ck_assert_uint_eq(jobq_ctx_flags(k.gate.last), JOBQ_CTX_TIMEOUT);
    ck_assert_int_gt(jobq_worker_next_ms(k.w), 1000); /* told once, not again and again */
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 1); /* nobody had swept it: the success counts */
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    kit_close(&k);
}
END_TEST

START_TEST(a_timeout_ends_even_what_never_returns) /* rule 5: failure, no crash */
{
    struct kit k;
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .timeout_ms = 5000 };
    struct jobq_id id = hold_one(&k, &spec);

    kit_tick(&k, 5000);
    kit_turns(k.w);
    kit_tick(&k, 13000); /* its own next sweep */
    KIT_UNTIL(k.w, swept, 1);
    ck_assert_int_eq(kit_job(&k, &id)->failures, 1);
    ck_assert_int_eq(kit_job(&k, &id)->crashes, 0);
    ck_assert_int_eq(kit_job(&k, &id)->failures_log[0].kind, JOBQ_ERROR_TIMEOUT);
    kit_tick(&k, LEASE / 3);
    kit_turns(k.w);
    ck_assert_uint_ne(jobq_ctx_flags(k.gate.last) & JOBQ_CTX_LOST, 0);
    kit_close(&k);
}
END_TEST

/* ---- swept -------------------------------------------------------------------------------------------- */

/* A process that takes rows and dies. Returns how many it took. */
static size_t take_and_die(struct kit *k, int mode, size_t limit, size_t others)
{
    struct jobq_bytes queue = { "work", 4 };
    struct jobq_want want = {.mode = mode,
                             .queues = &queue,
                             .queue_count = 1,
                             .limit = limit,
                             .lease_ms = LEASE,
                             .others = others,
                             .worker = {"dead", 4}};
    struct call *call = call_create();
    size_t taken;

    call->want = &want;
    call->lends = true;
    ck_assert_int_eq(call_run(k->q, call, 0), JOBQ_OK);
    taken = want.row_count;
    call_unref(call);
    return taken;
}

START_TEST(any_worker_sweeps_any_queue) /* rule 4; L2 */
{
    static const char *const queues[] = { "elsewhere" };
    struct jobq_worker_options o = { .size = sizeof o, .queues = queues, .queue_count = 1 };
    struct kit k;
    struct jobq_id id;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    k.w->phase = PHASE_NEW;
    jobq_worker_destroy(k.w);
    ck_assert_int_eq(jobq_worker_create(&k.w, k.q, &o), JOBQ_OK);
    jobq_worker_handle(k.w, "nothing", count_handler, &k);
    id = kit_put(&k, "work", "x");
    ck_assert_uint_eq(take_and_die(&k, JOBQ_WANT_DUE, 1, 0), 1);
    ck_assert_int_eq(jobq_clock_advance(k.q, LEASE), JOBQ_OK);
    KIT_UNTIL(k.w, swept, 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_READY); /* the first time at once */
    ck_assert_int_eq(kit_job(&k, &id)->crashes, 1);
    kit_close(&k);
}
END_TEST

START_TEST(many_lost_are_swept_in_bounded_steps)
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, "nothing", count_handler, &k);
    for (int i = 0; i < 350; i++)
        kit_put(&k, "work", "x");
    ck_assert_uint_eq(take_and_die(&k, JOBQ_WANT_DUE, 350, 0), 350);
    ck_assert_int_eq(jobq_clock_advance(k.q, LEASE), JOBQ_OK);
    kit_turns(k.w); /* not one deadline later */
    ck_assert_uint_eq(KIT_COUNT(k.w, swept), 350);
    kit_close(&k);
}
END_TEST

START_TEST(sweeps_come_on_their_schedule) /* a third of the lease, at most 10 s, and a tenth of the lease of
                                             jitter */
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_turns(k.w);
    for (int i = 0; i < 20; i++) {
        int64_t wait = k.w->sweep_at_ms - atomic_load(&k.clock);
        ck_assert_int_ge(wait, 10000);
        ck_assert_int_le(wait, 13000);
        kit_tick(&k, wait);
        kit_turns(k.w);
    }
    kit_close(&k);
}
END_TEST

START_TEST(expired_rows_are_judged_not_run) /* rule 1 */
{
    struct kit k;
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .expires_in_ms = 1000 };
    struct jobq_id id;

    kit_open(&k);
    id = kit_put_spec(&k, &spec);
    kit_tick(&k, 1000);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    kit_turns(k.w);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_DEAD);
    ck_assert_int_eq(kit_job(&k, &id)->reason, JOBQ_REASON_EXPIRED);
    ck_assert_int_eq(atomic_load(&k.calls), 0);
    kit_close(&k);
}
END_TEST

START_TEST(children_of_the_dead_are_judged) /* rule 11: a cascade in bounded turns */
{
    struct kit k;
    struct jobq_id ids[201];

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    gate_open(&k.gate, -1, JOBQ_GIVE_UP);
    ids[0] = kit_put(&k, "work", "x");
    for (int i = 1; i <= 200; i++) {
        struct jobq_parent parent = { .id = ids[0], .rule = JOBQ_PARENT_FAIL };
        struct jobq_spec spec = {.size = sizeof spec, .queue = "work", .parents = &parent, .parent_count = 1};
        ids[i] = kit_put_spec(&k, &spec);
    }
    KIT_UNTIL(k.w, failed, 1);
    kit_tick(&k, 13000);
    KIT_UNTIL(k.w, swept, 200);
    ck_assert_int_eq(kit_job(&k, &ids[200])->state, JOBQ_DEAD);
    ck_assert_int_eq(kit_job(&k, &ids[200])->reason, JOBQ_REASON_DEPENDENCY);
    kit_close(&k);
}
END_TEST

START_TEST(a_worker_sweeps_for_claims_by_hand_too) /* contract "Wants": a claim sweeps if its handle has not */
{
    const char *const queues[] = { "work" };
    const struct jobq_claim_options o = { .size = sizeof o, .queues = queues, .queue_count = 1, .limit = 1,
                                          .lease_ms = LEASE };
    struct kit k;
    struct jobq_jobs *jobs = NULL;

    kit_open(&k);
    ck_assert_int_eq(k.q->swept_at_ms, 0);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, "none", count_handler, &k);
    kit_turns(k.w);
    int64_t swept = k.q->swept_at_ms;
    ck_assert_int_ne(swept, 0);
    ck_assert_int_eq(jobq_claim(k.q, &o, &jobs), JOBQ_OK);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(k.q->swept_at_ms, swept);
    kit_close(&k);
}
END_TEST

static int32_t busy_of(struct kit *k)
{
    struct jobq_stats *stats;
    int32_t running;

    ck_assert_int_eq(jobq_stats(k->q, NULL, &stats), JOBQ_OK);
    ck_assert_uint_eq(stats->worker_count, 1);
    running = stats->workers[0].running;
    jobq_stats_free(stats);
    return running;
}

START_TEST(the_record_is_right_after_the_last_job) /* rule 17 */
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 2, 0, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_put(&k, "work", "x");
    kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 2);
    do { /* heartbeats, until the next sweep is far enough */
        kit_tick(&k, jobq_worker_next_ms(k.w));
        kit_turns(k.w);
    } while (busy_of(&k) == 0 || k.w->sweep_at_ms < atomic_load(&k.clock) + 2000);
    ck_assert_int_eq(busy_of(&k), 2);
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 2);
    for (int64_t waited = 0; busy_of(&k) != 0;) {
        int64_t wait = jobq_worker_next_ms(k.w);
        waited += wait;
        ck_assert_int_le(waited, 1000); /* the look for a job that must run alone comes before the next sweep */
        kit_tick(&k, wait);
        kit_turns(k.w);
    }
    kit_close(&k);
}
END_TEST

/* ---- alone -------------------------------------------------------------------------------------------- */

static void sweep(struct kit *k)
{
    size_t swept;

    ck_assert_int_eq(jobq_clock_advance(k->q, 4 * LEASE), JOBQ_OK); /* lease and any back-off */
    ck_assert_int_eq(jobq_sweep(k->q, 100, &swept), JOBQ_OK);
    ck_assert_int_eq(jobq_clock_advance(k->q, 4 * LEASE), JOBQ_OK);
}

START_TEST(nobody_dies_for_a_neighbour) /* contract "Poison among friends" */
{
    struct kit k;
    struct jobq_id ids[3];
    int dead = 0, done = 0;

    kit_open(&k);
    for (int i = 0; i < 3; i++)
        ids[i] = kit_put(&k, "work", "x");
    for (int round = 0; round < 2; round++) { /* a process takes all three and dies */
        ck_assert_uint_eq(take_and_die(&k, JOBQ_WANT_DUE, 3, 0), 3);
        sweep(&k);
    }
    ck_assert_uint_eq(take_and_die(&k, JOBQ_WANT_DUE, 3, 0), 0); /* now they are passed by */
    ck_assert_uint_eq(take_and_die(&k, JOBQ_WANT_ALONE, 3, 0), 1); /* the killer kills again */
    sweep(&k);
    kit_worker(&k, 4, 4, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    KIT_UNTIL(k.w, completed, 1);
    while (KIT_COUNT(k.w, completed) < 2) { /* asked for one at a time */
        kit_tick(&k, jobq_worker_next_ms(k.w));
        kit_until_ended(&k);
        kit_turns(k.w);
    }
    for (int i = 0; i < 3; i++) {
        dead +=
            kit_job(&k, &ids[i])->state == JOBQ_DEAD && kit_job(&k, &ids[i])->reason == JOBQ_REASON_POISON;
        done += kit_job(&k, &ids[i])->state == JOBQ_COMPLETED;
    }
    ck_assert_int_eq(dead, 1);
    ck_assert_int_eq(done, 2);
    kit_close(&k);
}
END_TEST

/* A job that may only run alone. */
static struct jobq_id put_alone(struct kit *k)
{
    struct jobq_id id = kit_put(k, "work", "alone");

    for (int round = 0; round < 2; round++) {
        ck_assert_uint_eq(take_and_die(k, JOBQ_WANT_DUE, 1, 1), 1);
        sweep(k);
    }
    return id;
}

START_TEST(nothing_starts_beside_it) /* contract "Poison among friends" */
{
    struct kit k;
    struct jobq_id id;

    kit_open(&k);
    id = put_alone(&k);
    kit_worker(&k, 4, 4, 0);
    jobq_worker_handle(k.w, "alone", gate_handler, &k);
    jobq_worker_handle(k.w, "other", count_handler, &k);
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_RUNNING);
    for (int i = 0; i < 5; i++)
        kit_put(&k, "work", "other");
    for (int i = 0; i < 10; i++) {
        kit_tick(&k, LEASE / 10);
        kit_turns(k.w);
    }
    ck_assert_uint_eq(KIT_COUNT(k.w, claimed), 1);
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 6);
    kit_close(&k);
}
END_TEST

START_TEST(a_busy_worker_takes_it_too) /* L4: it does not starve behind a queue that never ends */
{
    struct kit k;
    struct jobq_id id;
    int turns = 0;

    kit_open(&k);
    id = put_alone(&k);
    kit_worker(&k, 2, 2, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    for (int i = 0; i < 4; i++)
        kit_put(&k, "work", "other");
    while (kit_job(&k, &id)->state != JOBQ_COMPLETED) {
        for (int i = 0; i < 4; i++)
            kit_put(&k, "work", "other");
        kit_tick(&k, 1000);
        ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
        kit_until_ended(&k);
        ck_assert_int_lt(++turns, 100);
    }
    ck_assert_uint_gt(KIT_COUNT(k.w, completed), 60); /* it was busy all the time */
    kit_close(&k);
}
END_TEST

START_TEST(holding_back_for_it_has_an_end) /* a tenth of a lease, once a lease */
{
    struct kit k;
    struct jobq_id id;
    int64_t started;

    kit_open(&k);
    kit_worker(&k, 2, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_put(&k, "work", "long");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    for (int round = 0; round < 2; round++) {
        started = k.q->crew.window_ms;
        while (atomic_load(&k.clock) < started + LEASE) {
            int64_t left = started + LEASE - atomic_load(&k.clock), next = jobq_worker_next_ms(k.w);
            kit_tick(&k, next < left ? next : left);
            kit_turns(k.w);
        }
        id = kit_put(&k, "work", "waits");
        kit_turns(k.w);
        ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_READY);
        ck_assert_int_le(jobq_worker_next_ms(k.w), LEASE / 10);
        kit_tick(&k, LEASE / 10);
        kit_turns(k.w);
        ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_RUNNING);
        gate_wait_started(&k.gate, 2 + round);
        gate_open(&k.gate, 1, JOBQ_DONE);
        KIT_UNTIL(k.w, completed, (uint64_t)round + 1);
        if (round == 0) /* whichever of the two went: one stays in hand */
            kit_put(&k, "work", "long");
        kit_turns(k.w);
    }
    kit_close(&k);
}
END_TEST

START_TEST(company_that_came_later_is_company) /* contract "Poison among friends" */
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 2, 2, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    kit_put(&k, "work", "x"); /* started beside it */
    kit_turns(k.w);
    gate_wait_started(&k.gate, 2);
    ck_assert_int_eq(k.w->claims->jobs[0].row.ran_alone, 0);
    ck_assert_int_eq(k.w->claims->next->jobs[0].row.ran_alone, 0);
    kit_close(&k);
}
END_TEST

START_TEST(where_nothing_can_join_it_it_is_alone) /* contract "Poison among friends" */
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 1, 0, JOBQ_WORKER_NO_BATCH);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    ck_assert_int_eq(k.w->claims->jobs[0].row.ran_alone, 1);
    kit_close(&k);
}
END_TEST

/* ---- two who sweep ---------------------------------------------------------------------------------------- */

static struct {
    const struct jobq_backend *inner;
    struct kit *other;
    int verdict; /* of the judgement that came too late */
} overtaken;

/* Claims the job of the test again, which sweeps it first, and completes it. */
static void sweep_claim_and_complete(struct kit *k)
{
    const char *const queues[] = { "work" };
    const struct jobq_claim_options want = { .size = sizeof want, .queues = queues, .queue_count = 1, .limit = 1 };
    struct jobq_jobs *jobs;
    size_t swept;

    ck_assert_int_eq(jobq_clock_advance(k->q, 2 * LEASE), JOBQ_OK);
    ck_assert_int_eq(jobq_sweep(k->q, 10, &swept), JOBQ_OK);
    ck_assert_uint_eq(swept, 1);
    ck_assert_int_eq(jobq_claim(k->q, &want, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 1);
    ck_assert_int_eq(jobq_ack(k->q, &jobs->jobs[0].id, &jobs->jobs[0].token, "done", 4), JOBQ_OK);
    jobq_jobs_free(jobs);
}

/* Stands still between taking an overdue row and judging it. */
static int overtaken_exchange(struct jobq_store *store, struct jobq_exchange *x, struct jobq_arena *arena,
                              struct jobq_error *err)
{
    struct kit *other = x->change_count ? overtaken.other : NULL;

    if (other) {
        overtaken.other = NULL;
        sweep_claim_and_complete(other);
    }
    int rc = overtaken.inner->exchange(store, x, arena, err);
    if (other)
        overtaken.verdict = x->changes[0].verdict;
    return rc;
}

START_TEST(a_judgement_that_comes_late_changes_nothing) /* S2, S6: who sweeps obeys the fence like any worker */
{
    struct kit k, other;
    struct jobq_backend slow = *kit_backend();
    const char *const queues[] = { "work" };
    const struct jobq_claim_options want = { .size = sizeof want, .queues = queues, .queue_count = 1, .limit = 1 };
    struct jobq_jobs *jobs;
    struct jobq_id id;
    size_t swept;

    slow.exchange = overtaken_exchange;
    overtaken.inner = kit_backend();
    overtaken.other = NULL;
    kit_open_with(&k, &slow);
    kit_join(&other, &k);
    id = kit_put(&k, "work", "x");
    ck_assert_int_eq(jobq_claim(k.q, &want, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 1);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(jobq_clock_advance(k.q, 2 * LEASE), JOBQ_OK);
    overtaken.other = &other;
    jobq_sweep(k.q, 10, &swept);
    ck_assert_ptr_null(overtaken.other);
    ck_assert_int_eq(overtaken.verdict, JOBQ_STALE);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    ck_assert_int_eq(kit_job(&k, &id)->attempt, 2);
    ck_assert_int_eq(kit_job(&k, &id)->crashes, 1);
    kit_close(&other);
    kit_close(&k);
}
END_TEST

KIT_MAIN("lease",
         a_judgement_that_comes_late_changes_nothing,
         a_worker_sweeps_for_claims_by_hand_too, the_record_is_right_after_the_last_job,
         heartbeats_keep_a_long_job, a_lost_lease_is_flagged_and_its_outcome_refused,
         a_late_ack_that_nobody_overtook_counts, one_lost_among_many_is_found,
         what_waited_too_long_is_not_started, soft_cancel_a_success_still_counts,
         soft_cancel_anything_else_is_cancelled, soft_cancel_unnoticed,
         cancelled_before_it_started_is_not_started, a_timeout_is_told_when_it_passes,
         a_timeout_ends_even_what_never_returns, any_worker_sweeps_any_queue,
         many_lost_are_swept_in_bounded_steps, sweeps_come_on_their_schedule, expired_rows_are_judged_not_run,
         children_of_the_dead_are_judged, nobody_dies_for_a_neighbour, nothing_starts_beside_it,
         a_busy_worker_takes_it_too, holding_back_for_it_has_an_end, company_that_came_later_is_company,
         where_nothing_can_join_it_it_is_alone)
