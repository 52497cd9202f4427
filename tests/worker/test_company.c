/* SPDX-License-Identifier: MIT */
/* Rule 4: several workers on one handle live in one process and die together. What one of them holds is company for what
 * the others claim, and a job that must run alone runs alone in the process. */
#include "kit.h"

#include <string.h>

static struct jobq_worker *second(struct kit *k, const char *name, size_t threads)
{
    return kit_another(k, k->q, name, threads, 0, JOBQ_WORKER_NO_BATCH);
}

static struct jobq_id put_one(struct kit *k, const char *kind, int32_t max_crashes)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .kind = kind, .max_attempts = 10,
                              .max_crashes = max_crashes };

    return kit_put_spec(k, &spec);
}

/* The process is gone: nobody beats any more, another one sweeps. */
static void sweep_elsewhere(struct kit *k)
{
    struct kit other;
    size_t swept;

    ck_assert_int_eq(jobq_clock_advance(k->q, 4 * LEASE), JOBQ_OK);
    kit_join(&other, k);
    ck_assert_int_eq(jobq_sweep(other.q, 100, &swept), JOBQ_OK);
    kit_close(&other);
}

START_TEST(rule_4_a_neighbour_in_another_worker_is_company)
{
    struct kit k;
    struct jobq_worker *w2;
    struct jobq_id ids[2];

    kit_open(&k);
    kit_worker(&k, 1, 0, JOBQ_WORKER_NO_BATCH);
    w2 = second(&k, "w2", 1);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    jobq_worker_handle(w2, NULL, gate_handler, &k);
    kit_turns(k.w);
    kit_turns(w2);
    for (int i = 0; i < 2; i++)
        ids[i] = put_one(&k, "x", 1);
    kit_turns(k.w);
    kit_turns(w2);
    gate_wait_started(&k.gate, 2);
    ck_assert_uint_eq(KIT_COUNT(k.w, claimed) + KIT_COUNT(w2, claimed), 2);
    sweep_elsewhere(&k);
    for (int i = 0; i < 2; i++) { /* whichever of the two killed the process: neither dies of the other's deed */
        ck_assert_int_eq(kit_job(&k, &ids[i])->state, JOBQ_READY);
        ck_assert_int_eq(kit_job(&k, &ids[i])->failures, 1);
    }
    gate_open(&k.gate, -1, JOBQ_DONE);
    jobq_worker_destroy(w2);
    kit_close(&k);
}
END_TEST

/* A job that may only run alone: lost in company, one short of its limit. */
static struct jobq_id put_alone(struct kit *k)
{
    const char *const queues[] = { "work" };
    struct jobq_claim_options o = { .size = sizeof o, .queues = queues, .queue_count = 1, .limit = 2 };
    struct jobq_id id = put_one(k, "alone", 1), friend = put_one(k, "friend", 5);
    struct jobq_jobs *jobs = NULL;
    struct kit other;

    kit_join(&other, k);
    ck_assert_int_eq(jobq_claim(other.q, &o, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 2);
    jobq_jobs_free(jobs);
    kit_close(&other);
    sweep_elsewhere(k);
    ck_assert_int_eq(kit_job(k, &id)->state, JOBQ_READY);
    ck_assert_int_eq(jobq_drop(k->q, &friend), JOBQ_OK);
    return id;
}

START_TEST(rule_4_nothing_starts_beside_it_in_any_worker)
{
    struct kit k;
    struct jobq_worker *w2;
    struct jobq_id id;

    kit_open(&k);
    id = put_alone(&k);
    kit_worker(&k, 2, 2, 0);
    w2 = second(&k, "w2", 2);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    jobq_worker_handle(w2, NULL, gate_handler, &k);
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_RUNNING);
    ck_assert_int_eq(k.w->claims->jobs[0].row.ran_alone, 1);
    for (int i = 0; i < 4; i++)
        put_one(&k, "other", 3);
    for (int i = 0; i < 8; i++) {
        kit_tick(&k, LEASE / 8);
        kit_turns(k.w);
        kit_turns(w2);
    }
    ck_assert_uint_eq(KIT_COUNT(w2, claimed), 0);
    gate_open(&k.gate, 1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 1);
    kit_turns(w2); /* it was told that the process is everybody's again */
    gate_wait_started(&k.gate, 3);
    ck_assert_uint_gt(KIT_COUNT(k.w, claimed) + KIT_COUNT(w2, claimed), 2);
    gate_open(&k.gate, -1, JOBQ_DONE);
    jobq_worker_destroy(w2);
    kit_close(&k);
}
END_TEST

START_TEST(rule_4_it_waits_until_the_others_hold_nothing)
{
    struct kit k;
    struct jobq_worker *w2;
    struct jobq_id id;

    kit_open(&k);
    id = put_alone(&k);
    kit_worker(&k, 2, 2, 0);
    w2 = second(&k, "w2", 1);
    jobq_worker_handle(k.w, "alone", count_handler, &k);
    jobq_worker_handle(w2, "other", gate_handler, &k);
    put_one(&k, "other", 3);
    kit_turns(w2);
    gate_wait_started(&k.gate, 1);
    for (int i = 0; i < 4; i++) { /* four windows */
        for (int64_t lived = 0; lived < LEASE;) {
            int64_t next = jobq_worker_next_ms(k.w), least = next < LEASE / 20 ? next : LEASE / 20;
            kit_tick(&k, least ? least : 1);
            lived += least ? least : 1;
            kit_turns(k.w);
            kit_turns(w2);
        }
        ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_READY);
    }
    gate_open(&k.gate, 1, JOBQ_DONE);
    KIT_UNTIL(w2, completed, 1);
    while (KIT_COUNT(k.w, completed) == 0) {
        kit_tick(&k, jobq_worker_next_ms(k.w));
        kit_turns(k.w);
        kit_turns(w2);
        kit_until_ended(&k);
    }
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    jobq_worker_destroy(w2);
    kit_close(&k);
}
END_TEST

START_TEST(rule_4_busy_workers_take_it_too) /* it does not starve behind queues that never end */
{
    struct kit k;
    struct jobq_worker *w[3];
    struct jobq_id id;
    uint64_t completed = 0;
    int turns = 0;

    kit_open(&k);
    id = put_alone(&k);
    kit_worker(&k, 1, 1, 0);
    w[0] = k.w;
    w[1] = second(&k, "w2", 2);
    w[2] = second(&k, "w3", 1);
    for (int i = 0; i < 3; i++)
        jobq_worker_handle(w[i], i == 2 ? NULL : "other", count_handler, &k); /* only the third one has its kind */
    while (kit_job(&k, &id)->state != JOBQ_COMPLETED) {
        for (int i = 0; i < 8; i++)
            put_one(&k, "other", 3);
        kit_tick(&k, 1000);
        for (int i = 0; i < 3; i++) {
            k.w = w[i];
            ck_assert_int_eq(jobq_worker_dispatch(w[i]), JOBQ_OK);
            kit_until_ended(&k);
        }
        ck_assert_int_lt(++turns, 400);
    }
    k.w = w[0];
    for (int i = 0; i < 3; i++)
        completed += KIT_COUNT(w[i], completed);
    ck_assert_uint_gt(completed, 60); /* they were busy all the time */
    jobq_worker_destroy(w[1]);
    jobq_worker_destroy(w[2]);
    kit_close(&k);
}
END_TEST

START_TEST(one_that_leaves_keeps_nobody_waiting)
{
    struct kit k;
    struct jobq_worker *w2;

    kit_open(&k);
    put_alone(&k);
    kit_worker(&k, 1, 1, 0);
    w2 = second(&k, "w2", 1);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    jobq_worker_handle(w2, "alone", gate_handler, &k);
    kit_turns(w2);
    gate_wait_started(&k.gate, 1);
    put_one(&k, "other", 3);
    kit_turns(k.w);
    ck_assert_uint_eq(KIT_COUNT(k.w, claimed), 0);
    w2->grace_ms = 0;
    jobq_worker_stop(w2);
    kit_turns(w2); /* its grace is over: it waits for a handler that hangs, perhaps for ever */
    ck_assert_uint_eq(w2->held, 1);
    KIT_UNTIL(k.w, completed, 1);
    gate_open(&k.gate, -1, JOBQ_DONE);
    jobq_worker_destroy(w2);
    ck_assert_uint_eq(k.q->crew.held, 0);
    kit_close(&k);
}
END_TEST

START_TEST(a_draining_worker_does_not_wait_for_a_neighbour)
{
    const char *const queues[] = { "else" };
    struct jobq_worker_options o = { .size = sizeof o, .name = "w2", .queues = queues, .queue_count = 1,
                                     .flags = JOBQ_WORKER_DRAIN };
    struct kit k;
    struct jobq_worker *w2;
    int rc;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    kit_put(&k, "work", "long");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    ck_assert_int_eq(jobq_worker_create(&w2, k.q, &o), JOBQ_OK);
    w2->clock = k.w->clock;
    w2->clock_user = k.w->clock_user;
    jobq_worker_handle(w2, NULL, count_handler, &k);
    for (int i = 0; (rc = jobq_worker_dispatch(w2)) == JOBQ_OK; i++) {
        ck_assert_int_lt(i, 30);
        kit_tick(&k, jobq_worker_next_ms(w2) < 1000 ? jobq_worker_next_ms(w2) : 1000);
    }
    ck_assert_int_eq(rc, JOBQ_ALREADY);
    gate_open(&k.gate, -1, JOBQ_DONE);
    jobq_worker_destroy(w2);
    kit_close(&k);
}
END_TEST

KIT_MAIN("company", rule_4_a_neighbour_in_another_worker_is_company, rule_4_nothing_starts_beside_it_in_any_worker,
         rule_4_it_waits_until_the_others_hold_nothing, rule_4_busy_workers_take_it_too,
         one_that_leaves_keeps_nobody_waiting, a_draining_worker_does_not_wait_for_a_neighbour)
