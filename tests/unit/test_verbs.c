/* SPDX-License-Identifier: MIT */
/* The public verbs from end to end on the memory store: what an application sees. */
#include "unit.h"

#include <jobq/memory.h>

#include <string.h>

static struct jobq *q;
static const char *const queue = "q";

static void setup(void)
{
    ck_assert_int_eq(jobq_open(&q, jobq_memory(), "memory:", NULL), JOBQ_OK);
}

static struct jobq_id put(struct jobq_spec spec)
{
    struct jobq_enqueued out = { .size = sizeof out };

    spec.size = sizeof spec;
    spec.queue = spec.queue ? spec.queue : queue;
    ck_assert_msg(jobq_enqueue(q, &spec, &out) == JOBQ_OK, "%s", jobq_last_error()->text);
    return out.id;
}

static struct jobq_jobs *claim(size_t limit)
{
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .limit = limit };
    struct jobq_jobs *jobs = NULL;

    ck_assert_msg(jobq_claim(q, &o, &jobs) == JOBQ_OK, "%s", jobq_last_error()->text);
    return jobs;
}

static struct jobq_job look(const struct jobq_id *id)
{
    static struct jobq_jobs *jobs;

    jobq_jobs_free(jobs);
    ck_assert_msg(jobq_get(q, id, &jobs) == JOBQ_OK, "%s", jobq_last_error()->text);
    return jobs->jobs[0];
}

START_TEST(rule_1_enqueue_claim_ack)
{
    setup();
    struct jobq_id id = put((struct jobq_spec){ .payload = { "a\0b", 3 } });
    ck_assert_int_eq(look(&id).state, JOBQ_READY);
    struct jobq_jobs *jobs = claim(5);
    ck_assert_uint_eq(jobs->count, 1);
    const struct jobq_job *job = &jobs->jobs[0];
    ck_assert_int_eq(job->attempt, 1);
    ck_assert_uint_eq(job->payload.size, 3);
    ck_assert_mem_eq(job->payload.data, "a\0b", 3);
    ck_assert_int_eq(jobq_ack(q, &id, &job->token, "r", 1), JOBQ_OK);
    ck_assert_int_eq(jobq_ack(q, &id, &job->token, "other", 5), JOBQ_ALREADY);
    ck_assert_int_eq(jobq_release(q, &id, &job->token), JOBQ_STALE);
    ck_assert_int_eq(look(&id).state, JOBQ_COMPLETED);
    ck_assert_uint_eq(look(&id).result.size, 1);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(rule_8_fail_until_dead_then_redrive)
{
    struct jobq_failure f = { .size = sizeof f, .text = { "boom", 4 } };

    setup();
    struct jobq_id id = put((struct jobq_spec){ .max_attempts = 2 });
    for (int i = 1; i <= 2; i++) {
        struct jobq_jobs *jobs = claim(1);
        ck_assert_uint_eq(jobs->count, 1);
        ck_assert_int_eq(jobq_fail(q, &id, &jobs->jobs[0].token, &f), JOBQ_OK);
        ck_assert_int_eq(jobq_fail(q, &id, &jobs->jobs[0].token, &f), JOBQ_ALREADY);
        jobq_jobs_free(jobs);
        jobq_clock_advance(q, 10000);
    }
    struct jobq_job job = look(&id);
    ck_assert_int_eq(job.state, JOBQ_DEAD);
    ck_assert_int_eq(job.reason, JOBQ_REASON_ATTEMPTS);
    ck_assert_uint_eq(job.failures_log_count, 2);
    ck_assert_int_eq(job.failures_log[1].attempt, 2);
    ck_assert_mem_eq(job.failures_log[1].text.data, "boom", 4);
    ck_assert_int_eq(jobq_cancel(q, &id, 0), JOBQ_STATE);
    ck_assert_int_eq(jobq_redrive(q, &id), JOBQ_OK);
    ck_assert_int_eq(look(&id).failures, 0);
    ck_assert_int_eq(look(&id).redrives, 1);
    ck_assert_uint_eq(look(&id).failures_log_count, 2);
    ck_assert_int_eq(jobq_redrive(q, &id), JOBQ_STATE);
    jobq_close(q);
}
END_TEST

START_TEST(rule_4_the_next_claim_sweeps_a_lost_lease)
{
    setup();
    struct jobq_id id = put((struct jobq_spec){ 0 });
    struct jobq_jobs *lost = claim(1), *again;
    jobq_clock_advance(q, 31000);
    q->swept_at_ms = 0;
    ck_assert_int_eq(look(&id).stuck, 1);
    again = claim(1);
    ck_assert_uint_eq(again->count, 1);
    ck_assert_int_eq(again->jobs[0].attempt, 2);
    ck_assert_int_eq(again->jobs[0].crashes, 1);
    ck_assert_int_eq(jobq_ack(q, &id, &lost->jobs[0].token, NULL, 0), JOBQ_STALE);
    ck_assert_int_eq(jobq_ack(q, &id, &again->jobs[0].token, NULL, 0), JOBQ_OK);
    ck_assert_int_gt(again->jobs[0].fence, lost->jobs[0].fence);
    jobq_jobs_free(lost);
    jobq_jobs_free(again);
    jobq_close(q);
}
END_TEST

START_TEST(rule_4_a_claim_by_hand_also_takes_what_must_run_alone)
{
    struct jobq *other;

    ck_assert_int_eq(jobq_open(&q, jobq_memory(), "memory:alone", NULL), JOBQ_OK);
    struct jobq_id id = put((struct jobq_spec){ .kind = "k" });
    struct jobq_id id2 = put((struct jobq_spec){ .kind = "k" });
    for (int lost = 0; lost < 2; lost++) { /* twice in company: one short of the limits */
        struct jobq_jobs *jobs = claim(2);
        ck_assert_uint_eq(jobs->count, 2);
        jobq_jobs_free(jobs);
        ck_assert_int_eq(jobq_clock_advance(q, 100000), JOBQ_OK);
        ck_assert_int_eq(jobq_sweep(q, 10, NULL), JOBQ_OK);
        ck_assert_int_eq(jobq_clock_advance(q, 100000), JOBQ_OK);
    }
    put((struct jobq_spec){ .kind = "k", .priority = -5 }); /* another one in front of them does not hide them */
    for (int turn = 0; turn < 2; turn++) {
        ck_assert_int_eq(jobq_open(&other, jobq_memory(), "memory:alone", NULL), JOBQ_OK);
        struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .limit = 10 };
        struct jobq_jobs *jobs = NULL;
        ck_assert_int_eq(jobq_claim(other, &o, &jobs), JOBQ_OK);
        ck_assert_uint_eq(jobs->count, 1);
        ck_assert_int_eq(jobq_ack(other, &jobs->jobs[0].id, &jobs->jobs[0].token, NULL, 0), JOBQ_OK);
        jobq_jobs_free(jobs);
        jobq_close(other);
    }
    ck_assert_int_eq(look(&id).state, JOBQ_COMPLETED);
    ck_assert_int_eq(look(&id2).state, JOBQ_COMPLETED);
    jobq_close(q);
}
END_TEST

START_TEST(rule_2_a_late_ack_that_nobody_overtook_is_accepted)
{
    setup();
    struct jobq_id id = put((struct jobq_spec){ 0 });
    struct jobq_jobs *jobs = claim(1);
    jobq_clock_advance(q, 3600000);
    ck_assert_int_eq(jobq_ack(q, &id, &jobs->jobs[0].token, NULL, 0), JOBQ_OK);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(rule_5_extend_stops_at_the_timeout)
{
    struct jobq_extended e = { .size = sizeof e };

    setup();
    struct jobq_id id = put((struct jobq_spec){ .timeout_ms = 5000 });
    struct jobq_jobs *jobs = claim(1);
    ck_assert_int_eq(jobq_extend(q, &id, &jobs->jobs[0].token, 60000, &e), JOBQ_OK);
    ck_assert_int_eq(e.lease_until_ms, jobs->jobs[0].started_at_ms + 5000);
    jobq_clock_advance(q, 5001);
    q->swept_at_ms = 0;
    jobq_jobs_free(claim(1));
    struct jobq_job job = look(&id);
    ck_assert_int_eq(job.failures, 1);
    ck_assert_int_eq(job.crashes, 0);
    ck_assert_int_eq(job.failures_log[0].kind, JOBQ_ERROR_TIMEOUT);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(rule_9_keys)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = queue, .key = { "k", 1 }, .payload = { "one", 3 } };
    struct jobq_enqueued first = { .size = sizeof first }, second = { .size = sizeof second };

    setup();
    ck_assert_int_eq(jobq_enqueue(q, &spec, &first), JOBQ_OK);
    ck_assert_int_eq(jobq_enqueue(q, &spec, &second), JOBQ_DUPLICATE);
    ck_assert_mem_eq(&first.id, &second.id, 16);
    ck_assert_int_eq(second.same_payload, 1);
    spec.payload = (struct jobq_bytes){ "two", 3 };
    ck_assert_int_eq(jobq_enqueue(q, &spec, &second), JOBQ_DUPLICATE);
    ck_assert_int_eq(second.same_payload, 0);
    spec.key_conflict = JOBQ_CONFLICT_REJECT;
    ck_assert_int_eq(jobq_enqueue(q, &spec, &second), JOBQ_HELD);
    spec.key_conflict = JOBQ_CONFLICT_REPLACE;
    ck_assert_int_eq(jobq_enqueue(q, &spec, &second), JOBQ_REPLACED);
    ck_assert_mem_eq(look(&first.id).payload.data, "two", 3);
    spec.key_scope = JOBQ_SCOPE_GROUP;
    spec.group = "g";
    ck_assert_int_eq(jobq_enqueue(q, &spec, &second), JOBQ_OK);
    spec.id = &first.id;
    ck_assert_int_eq(jobq_enqueue(q, &spec, &second), JOBQ_ALREADY);
    jobq_close(q);
}
END_TEST

START_TEST(rule_8_redrive_is_told_who_holds_the_key)
{
    struct jobq_spec spec = { .key = { "k", 1 } };

    setup();
    struct jobq_id dead = put(spec);
    ck_assert_int_eq(jobq_cancel(q, &dead, 0), JOBQ_OK);
    ck_assert_int_eq(jobq_cancel(q, &dead, 0), JOBQ_ALREADY);
    struct jobq_id live = put(spec);
    ck_assert_int_eq(jobq_redrive(q, &dead), JOBQ_HELD);
    ck_assert_int_eq(jobq_drop(q, &live), JOBQ_OK);
    ck_assert_int_eq(jobq_redrive(q, &dead), JOBQ_OK);
    jobq_close(q);
}
END_TEST

START_TEST(rule_11_fan_out_and_fan_in)
{
    struct jobq_spec specs[3];
    struct jobq_enqueued out[3] = { { .size = sizeof out[0] } };
    struct jobq_id ids[3];

    setup();
    struct jobq_id root = put((struct jobq_spec){ 0 });
    struct jobq_jobs *jobs = claim(1);
    for (int i = 0; i < 3; i++)
        jobq_id_new(&ids[i]);
    struct jobq_parent parents[2] = { { ids[0], JOBQ_PARENT_FAIL }, { ids[1], JOBQ_PARENT_IGNORE } };
    for (int i = 0; i < 3; i++)
        specs[i] = (struct jobq_spec){ .size = sizeof specs[i], .queue = queue, .id = &ids[i] };
    specs[2].parents = parents;
    specs[2].parent_count = 2;
    ck_assert_int_eq(jobq_ack_then(q, &root, &jobs->jobs[0].token, NULL, 0, specs, 3, out), JOBQ_OK);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(out[2].status, JOBQ_OK);
    ck_assert_int_eq(look(&ids[2]).state, JOBQ_BLOCKED);
    ck_assert_int_eq(look(&ids[2]).pending_parents, 2);
    jobs = claim(5);
    ck_assert_uint_eq(jobs->count, 2);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(jobq_ack(q, &jobs->jobs[i].id, &jobs->jobs[i].token, NULL, 0), JOBQ_OK);
    ck_assert_int_eq(look(&ids[2]).state, JOBQ_READY);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(rule_11_a_dead_parent_takes_its_children_along)
{
    size_t judged;

    setup();
    struct jobq_id root = put((struct jobq_spec){ 0 });
    struct jobq_parent fail = { root, JOBQ_PARENT_FAIL }, cancel = { root, JOBQ_PARENT_CANCEL };
    struct jobq_id a = put((struct jobq_spec){ .parents = &fail, .parent_count = 1 });
    struct jobq_parent grand = { a, JOBQ_PARENT_FAIL };
    struct jobq_id b = put((struct jobq_spec){ .parents = &cancel, .parent_count = 1 });
    struct jobq_id c = put((struct jobq_spec){ .parents = &grand, .parent_count = 1 });
    ck_assert_int_eq(jobq_cancel(q, &root, 0), JOBQ_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(jobq_sweep(q, 100, &judged), JOBQ_OK);
    ck_assert_int_eq(look(&a).reason, JOBQ_REASON_DEPENDENCY);
    ck_assert_int_eq(look(&a).state, JOBQ_DEAD);
    ck_assert_int_eq(look(&b).state, JOBQ_CANCELLED);
    ck_assert_int_eq(look(&c).state, JOBQ_DEAD);
    ck_assert_int_eq(jobq_redrive(q, &a), JOBQ_OK); /* waits again for what has not completed */
    ck_assert_int_eq(look(&a).state, JOBQ_BLOCKED);
    jobq_close(q);
}
END_TEST

START_TEST(rule_11_park_and_callback)
{
    struct jobq_callback token, forged;

    setup();
    struct jobq_id id = put((struct jobq_spec){ 0 });
    struct jobq_jobs *jobs = claim(1);
    const struct jobq_token *t = &jobs->jobs[0].token;
    ck_assert_int_eq(jobq_park(q, &id, t, 1000), JOBQ_STATE);
    ck_assert_int_eq(jobq_callback_new(q, &id, t, &token), JOBQ_OK);
    forged = token;
    forged.bytes[31] ^= 1;
    ck_assert_int_eq(jobq_park(q, &id, t, 1000), JOBQ_OK);
    ck_assert_int_eq(jobq_park(q, &id, t, 1000), JOBQ_ALREADY);
    ck_assert_int_eq(look(&id).state, JOBQ_BLOCKED);
    ck_assert_int_eq(jobq_unpark(q, &forged, "x", 1), JOBQ_STALE);
    ck_assert_int_eq(jobq_unpark(q, &token, "data", 4), JOBQ_OK);
    ck_assert_int_eq(jobq_unpark(q, &token, "twice", 5), JOBQ_ALREADY);
    jobq_jobs_free(jobs);
    jobs = claim(1);
    ck_assert_mem_eq(jobs->jobs[0].data.data, "data", 4);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(rule_11_a_callback_faster_than_the_park)
{
    struct jobq_callback token;

    setup();
    struct jobq_id id = put((struct jobq_spec){ 0 });
    struct jobq_jobs *jobs = claim(1);
    ck_assert_int_eq(jobq_callback_new(q, &id, &jobs->jobs[0].token, &token), JOBQ_OK);
    ck_assert_int_eq(jobq_unpark(q, &token, "d", 1), JOBQ_OK);
    ck_assert_int_eq(look(&id).state, JOBQ_RUNNING);
    ck_assert_int_eq(jobq_park(q, &id, &jobs->jobs[0].token, 1000), JOBQ_OK);
    ck_assert_int_eq(look(&id).state, JOBQ_READY);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(rule_11_a_callback_that_never_comes)
{
    struct jobq_callback token;

    setup();
    struct jobq_id id = put((struct jobq_spec){ 0 });
    struct jobq_jobs *jobs = claim(1);
    ck_assert_int_eq(jobq_callback_new(q, &id, &jobs->jobs[0].token, &token), JOBQ_OK);
    ck_assert_int_eq(jobq_park(q, &id, &jobs->jobs[0].token, 1000), JOBQ_OK);
    jobq_clock_advance(q, 1001);
    ck_assert_int_eq(jobq_sweep(q, 10, NULL), JOBQ_OK);
    struct jobq_job job = look(&id);
    ck_assert_int_eq(job.state, JOBQ_SCHEDULED);
    ck_assert_int_eq(job.failures, 1);
    ck_assert_int_eq(job.failures_log[0].kind, JOBQ_ERROR_CALLBACK);
    ck_assert_int_eq(jobq_unpark(q, &token, "late", 4), JOBQ_STALE);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(rule_6_cancel)
{
    setup();
    struct jobq_id id = put((struct jobq_spec){ 0 }), hard = put((struct jobq_spec){ 0 });
    struct jobq_jobs *jobs = claim(2);
    ck_assert_int_eq(jobq_cancel(q, &id, 0), JOBQ_OK);
    ck_assert_int_eq(look(&id).state, JOBQ_RUNNING);
    ck_assert_int_eq(look(&id).cancel_asked, 1);
    ck_assert_int_eq(jobq_fail(q, &id, &jobs->jobs[0].token, NULL), JOBQ_OK);
    ck_assert_int_eq(look(&id).state, JOBQ_CANCELLED);
    ck_assert_int_eq(jobq_cancel(q, &hard, JOBQ_CANCEL_HARD), JOBQ_OK);
    ck_assert_int_eq(look(&hard).state, JOBQ_CANCELLED);
    ck_assert_int_eq(jobq_ack(q, &hard, &jobs->jobs[1].token, NULL, 0), JOBQ_STALE);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(rule_1_early_ack_says_so)
{
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .flags = JOBQ_ACK_EARLY };
    struct jobq_jobs *jobs;

    setup();
    struct jobq_id id = put((struct jobq_spec){ 0 });
    ck_assert_int_eq(jobq_claim(q, &o, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 1);
    ck_assert_int_eq(look(&id).state, JOBQ_COMPLETED);
    ck_assert_int_eq(look(&id).reason, JOBQ_REASON_EARLY_ACK);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(holds_pause_expiry_and_bulk)
{
    struct jobq_bulk bulk = { .size = sizeof bulk };
    struct jobq_filter dead = { .size = sizeof dead, .states = 1 << JOBQ_DEAD };

    setup();
    struct jobq_id held = put((struct jobq_spec){ .held = 1 });
    struct jobq_jobs *jobs = claim(1);
    ck_assert_uint_eq(jobs->count, 0);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(jobq_unhold(q, &held), JOBQ_OK);
    ck_assert_int_eq(jobq_pause(q, queue), JOBQ_OK);
    jobs = claim(1);
    ck_assert_uint_eq(jobs->count, 0);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(jobq_resume(q, queue), JOBQ_OK);
    struct jobq_id late = put((struct jobq_spec){ .expires_in_ms = 100, .delay_ms = 50 });
    jobq_clock_advance(q, 200);
    jobs = claim(5);
    ck_assert_uint_eq(jobs->count, 1);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(jobq_sweep(q, 10, NULL), JOBQ_OK);
    ck_assert_int_eq(look(&late).reason, JOBQ_REASON_EXPIRED);
    ck_assert_int_eq(jobq_redrive_all(q, &dead, 1, &bulk), JOBQ_OK);
    ck_assert_uint_eq(bulk.matched, 1);
    ck_assert_uint_eq(bulk.done, 0);
    ck_assert_int_eq(jobq_redrive_all(q, &dead, 0, &bulk), JOBQ_OK);
    ck_assert_uint_eq(bulk.done, 1);
    ck_assert_int_eq(look(&late).state, JOBQ_READY);
    ck_assert_int_eq(jobq_purge(q, NULL, 0, &bulk), JOBQ_OK);
    ck_assert_uint_eq(bulk.done, 1); /* the claimed one stays */
    jobq_close(q);
}
END_TEST

START_TEST(s10_statistics_equal_the_rows)
{
    struct jobq_stats *stats;

    setup();
    for (int i = 0; i < 5; i++)
        put((struct jobq_spec){ .delay_ms = i < 2 ? 1000 : 0 });
    struct jobq_jobs *jobs = claim(1);
    ck_assert_int_eq(jobq_stats(q, NULL, &stats), JOBQ_OK);
    ck_assert_uint_eq(stats->queue_count, 1);
    ck_assert_uint_eq(stats->queues[0].present[JOBQ_SCHEDULED], 2);
    ck_assert_uint_eq(stats->queues[0].present[JOBQ_READY], 2);
    ck_assert_uint_eq(stats->queues[0].present[JOBQ_RUNNING], 1);
    ck_assert_uint_eq(stats->queues[0].enqueued_total, 5);
    jobq_stats_free(stats);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

START_TEST(wait_looks_and_times_out)
{
    struct jobq_jobs *jobs;
    struct jobq_id unknown = { { 1 } };

    setup();
    struct jobq_id id = put((struct jobq_spec){ 0 });
    ck_assert_int_eq(jobq_wait(q, &id, 0, &jobs), JOBQ_TIMEOUT);
    ck_assert_int_eq(jobs->jobs[0].state, JOBQ_READY);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(jobq_cancel(q, &id, 0), JOBQ_OK);
    ck_assert_int_eq(jobq_wait(q, &id, -1, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_wait(q, &unknown, 0, NULL), JOBQ_NOT_FOUND);
    jobq_close(q);
}
END_TEST

START_TEST(priorities_are_a_head_start_in_time)
{
    setup();
    put((struct jobq_spec){ .priority = 5 });
    struct jobq_id second = put((struct jobq_spec){ .priority = 1 });
    struct jobq_jobs *jobs = claim(1);
    ck_assert_mem_eq(&jobs->jobs[0].id, &second, 16);
    jobq_jobs_free(jobs);
    jobq_clock_advance(q, 4 * 600000 + 1000); /* (5 - 1) steps later a newcomer of priority 1 stands behind */
    put((struct jobq_spec){ .priority = 1 });
    jobs = claim(1);
    ck_assert_int_eq(jobs->jobs[0].priority, 5);
    jobq_jobs_free(jobs);
    jobq_close(q);
}
END_TEST

UNIT_MAIN("verbs", rule_1_enqueue_claim_ack, rule_8_fail_until_dead_then_redrive,
          rule_4_the_next_claim_sweeps_a_lost_lease,
          rule_4_a_claim_by_hand_also_takes_what_must_run_alone, rule_2_a_late_ack_that_nobody_overtook_is_accepted,
          rule_5_extend_stops_at_the_timeout, rule_9_keys, rule_8_redrive_is_told_who_holds_the_key,
          rule_11_fan_out_and_fan_in, rule_11_a_dead_parent_takes_its_children_along, rule_11_park_and_callback,
          rule_11_a_callback_faster_than_the_park, rule_11_a_callback_that_never_comes, rule_6_cancel,
          rule_1_early_ack_says_so, holds_pause_expiry_and_bulk, s10_statistics_equal_the_rows,
          wait_looks_and_times_out, priorities_are_a_head_start_in_time)
