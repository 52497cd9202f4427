/* SPDX-License-Identifier: MIT */
/* What the store does not take: for good, or because it is full. And what people are told of it. */
#include "door.h"

#include <string.h>

/* ---- refused for good --------------------------------------------------------------------------------- */

static int result_handler(struct jobq_ctx *ctx, void *user)
{
    static const char bytes[2000];
    bool bad = strcmp(jobq_ctx_job(ctx)->kind, "bad") == 0;

    (void)user;
    ck_assert_int_eq(jobq_ctx_result(ctx, bytes, bad ? 1234 : 10), JOBQ_OK);
    return JOBQ_DONE;
}

START_TEST(a_result_that_cannot_be_stored) /* rule 15; contract "Units" */
{
    struct kit k;
    struct jobq_id good[3], bad;

    open_behind_door(&k);
    kit_worker(&k, 1, 10, 0);
    jobq_worker_handle(k.w, NULL, result_handler, &k);
    for (int i = 0; i < 3; i++)
        good[i] = kit_put(&k, "work", "good");
    bad = kit_put(&k, "work", "bad");
    door.refuse_result = 1234;
    live_until_completed(&k, 3);
    while (KIT_COUNT(k.w, failed) == 0) {
        kit_tick(&k, jobq_worker_next_ms(k.w));
        ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(kit_job(&k, &good[i])->state, JOBQ_COMPLETED);
    const struct jobq_job *job = kit_job(&k, &bad);
    ck_assert_int_eq(job->state, JOBQ_DEAD);
    ck_assert_int_eq(job->reason, JOBQ_REASON_PERMANENT);
    ck_assert_int_eq(job->failures_log[0].kind, JOBQ_ERROR_RESULT);
    ck_assert_uint_eq(job->failures_log[0].text.size, strlen("result could not be stored"));
    ck_assert_mem_eq(job->failures_log[0].text.data, "result could not be stored", 26);
    kit_close(&k);
}
END_TEST

START_TEST(a_job_about_which_nothing_can_be_stored) /* it is left to its lease, the others go on */
{
    struct kit k;

    open_behind_door(&k);
    kit_worker(&k, 1, 10, 0);
    jobq_worker_handle(k.w, NULL, result_handler, &k);
    kit_put(&k, "work", "good");
    kit_put(&k, "work", "bad");
    door.refuse_result = 1234;
    door.refuse_error = strlen("result could not be stored");
    live_until_completed(&k, 1);
    while (KIT_COUNT(k.w, lost) == 0) {
        kit_tick(&k, jobq_worker_next_ms(k.w));
        ck_assert_int_eq(jobq_worker_dispatch(k.w), JOBQ_OK);
    }
    ck_assert_uint_eq(k.w->held, 0);
    kit_put(&k, "work", "good");
    live_until_completed(&k, 2);
    kit_close(&k);
}
END_TEST

/* ---- full --------------------------------------------------------------------------------------------- */

static void live_for(struct kit *k, int64_t ms)
{
    for (int64_t end = atomic_load(&k->clock) + ms; atomic_load(&k->clock) < end;) {
        int64_t next = jobq_worker_next_ms(k->w);
        kit_tick(k, next > 0 ? next : 1);
        ck_assert_int_eq(jobq_worker_dispatch(k->w), JOBQ_OK);
    }
}

START_TEST(a_full_store_is_waited_for) /* durability.md: the result is kept, the lease held, others go on */
{
    struct kit k;
    struct jobq_id large, small;

    open_behind_door(&k);
    kit_worker(&k, 1, 10, 0);
    jobq_worker_handle(k.w, NULL, result_handler, &k);
    ck_assert_int_eq(jobq_worker_notify(k.w, kit_listen, NULL), JOBQ_OK);
    large = kit_put(&k, "work", "bad"); /* has a result of 1,234 bytes */
    small = kit_put(&k, "work", "good");
    door.full_above = 100;
    live_until_completed(&k, 1);
    ck_assert_int_eq(kit_job(&k, &small)->state, JOBQ_COMPLETED);
    live_for(&k, 4 * LEASE);
    const struct jobq_job *job = kit_job(&k, &large);
    ck_assert_int_eq(job->state, JOBQ_RUNNING);
    ck_assert_int_eq(job->failures, 0);
    ck_assert_int_eq(kit_heard.count, 1); /* once, however often it was tried */
    kit_expect_heard(0, JOBQ_NOTICE_TROUBLE, "the door is shut");
    door.full_above = 0;
    live_until_completed(&k, 2);
    job = kit_job(&k, &large);
    ck_assert_int_eq(job->state, JOBQ_COMPLETED);
    ck_assert_uint_eq(job->result.size, 1234);
    ck_assert_int_eq(job->attempt, 1);
    ck_assert_int_eq(kit_heard.count, 2);
    kit_expect_heard(1, JOBQ_NOTICE_MENDED, "works again");
    kit_close(&k);
}
END_TEST

START_TEST(what_finds_no_room_until_the_end_runs_again)
{
    struct kit k;
    struct jobq_id id;
    int rc;

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, result_handler, &k);
    id = kit_put(&k, "work", "bad");
    door.full_above = 100;
    kit_turns(k.w);
    kit_until_ended(&k);
    jobq_worker_stop(k.w);
    while ((rc = jobq_worker_dispatch(k.w)) == JOBQ_OK) {
        int64_t next = jobq_worker_next_ms(k.w);
        kit_tick(&k, next > 0 ? next : 1);
    }
    ck_assert_int_eq(rc, JOBQ_FAILED);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_RUNNING); /* left to its lease */
    door.full_above = 0;
    kit_tick(&k, 2 * LEASE);
    jobq_worker_destroy(k.w);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, result_handler, &k);
    live_until_completed(&k, 1);
    ck_assert_int_eq(kit_job(&k, &id)->attempt, 2);
    kit_close(&k);
}
END_TEST

START_TEST(a_store_too_full_to_claim_is_not_asked_again_and_again)
{
    struct kit k;
    struct jobq_id id;
    int calls;

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    ck_assert_int_eq(jobq_worker_notify(k.w, kit_listen, NULL), JOBQ_OK);
    kit_turns(k.w);
    calls = door.calls;
    door.full_for_wants = true;
    id = kit_put(&k, "work", "x");
    live_for(&k, 10 * RETRY_MOST_MS);
    ck_assert_int_le(door.calls - calls, 80); /* the record and the sweep ride along, and are sent apart */
    ck_assert_int_eq(kit_heard.count, 1);
    door.full_for_wants = false;
    live_until_completed(&k, 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    ck_assert_int_eq(kit_heard.count, 2);
    kit_close(&k);
}
END_TEST

START_TEST(a_store_too_full_for_heartbeats_is_not_asked_again_and_again)
{
    struct kit k;
    int calls;

    open_behind_door(&k);
    kit_worker(&k, 2, 1, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    ck_assert_int_eq(jobq_worker_notify(k.w, kit_listen, NULL), JOBQ_OK);
    kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    door.full_for_beats = true;
    calls = door.calls;
    live_for(&k, 10 * RETRY_MOST_MS);
    ck_assert_int_le(door.calls - calls, 80);
    ck_assert_int_eq(kit_heard.count, 1);
    door.full_for_beats = false;
    live_for(&k, LEASE);
    ck_assert_int_eq(kit_heard.count, 2);
    kit_close(&k);
}
END_TEST

/* ---- told --------------------------------------------------------------------------------------------- */

START_TEST(a_failing_store_is_told_once_each_time)
{
    struct kit k;

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    ck_assert_int_eq(jobq_worker_notify(k.w, kit_listen, NULL), JOBQ_OK);
    for (int round = 0; round < 2; round++) {
        kit_turns(k.w);
        ck_assert_int_eq(kit_heard.count, 2 * round);
        door.fail = 1000;
        live_for(&k, 2 * LEASE);
        ck_assert_int_eq(kit_heard.count, 2 * round + 1);
        kit_expect_heard(2 * round, JOBQ_NOTICE_TROUBLE, "the door is shut");
        door.fail = 0;
        live_for(&k, LEASE);
        ck_assert_int_eq(kit_heard.count, 2 * round + 2);
        kit_expect_heard(2 * round + 1, JOBQ_NOTICE_MENDED, "");
    }
    ck_assert_int_eq(jobq_worker_notify(k.w, kit_listen, NULL), JOBQ_STATE);
    ck_assert_int_eq(jobq_worker_notify(NULL, kit_listen, NULL), JOBQ_INVALID);
    kit_close(&k);
}
END_TEST

START_TEST(claims_that_fail_are_told_though_acks_pass)
{
    struct kit k;

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, count_handler, &k);
    ck_assert_int_eq(jobq_worker_notify(k.w, kit_listen, NULL), JOBQ_OK);
    kit_turns(k.w);
    door.want_fails = 1000;
    live_for(&k, 2 * LEASE);
    ck_assert_int_eq(kit_heard.count, 1);
    kit_expect_heard(0, JOBQ_NOTICE_TROUBLE, "the store fails");
    door.want_fails = 0;
    live_for(&k, LEASE);
    ck_assert_int_eq(kit_heard.count, 2);
    kit_close(&k);
}
END_TEST

KIT_MAIN("refused", a_result_that_cannot_be_stored, a_job_about_which_nothing_can_be_stored,
         a_full_store_is_waited_for, a_store_too_full_to_claim_is_not_asked_again_and_again,
         a_store_too_full_for_heartbeats_is_not_asked_again_and_again,
         what_finds_no_room_until_the_end_runs_again, a_failing_store_is_told_once_each_time,
         claims_that_fail_are_told_though_acks_pass)
