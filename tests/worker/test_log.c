/* SPDX-License-Identifier: MIT */
/* The log of a job: from a handler, from whoever holds a token, as jobq_get shows it. */
#include "door.h"

#include <stdio.h>
#include <string.h>

static void expect_line(const struct jobq_job *job, size_t at, int attempt, const char *text)
{
    ck_assert_uint_lt(at, job->log_count);
    ck_assert_int_eq(job->log[at].attempt, attempt);
    ck_assert_uint_eq(job->log[at].text.size, strlen(text));
    ck_assert_mem_eq(job->log[at].text.data, text, strlen(text));
}

START_TEST(by_hand)
{
    static const char *const queues[] = { "work" };
    struct jobq_claim_options o = { .size = sizeof o, .queues = queues, .queue_count = 1 };
    static char longest[4000];
    struct jobq_jobs *jobs = NULL;
    struct jobq_filter filter = { .size = sizeof filter };
    struct kit k;

    memset(longest, 'x', sizeof longest);
    kit_open(&k);
    struct jobq_id id = kit_put(&k, "work", "x");
    ck_assert_uint_eq(kit_job(&k, &id)->log_count, 0);
    ck_assert_int_eq(jobq_claim(k.q, &o, &jobs), JOBQ_OK);
    const struct jobq_job *job = &jobs->jobs[0];
    ck_assert_int_eq(jobq_log(k.q, &id, &job->token, "begun", 5), JOBQ_OK);
    ck_assert_int_eq(jobq_log(k.q, &id, &job->token, longest, sizeof longest), JOBQ_OK);
    ck_assert_int_eq(jobq_log(k.q, &id, &job->token, NULL, 3), JOBQ_INVALID);
    ck_assert_int_eq(jobq_log(k.q, &id, NULL, "x", 1), JOBQ_INVALID);
    const struct jobq_job *now = kit_job(&k, &id);
    ck_assert_uint_eq(now->log_count, 2);
    expect_line(now, 0, 1, "begun");
    ck_assert_str_eq(now->log[0].worker, now->worker);
    ck_assert_int_ge(now->log[0].at_ms, now->started_at_ms);
    ck_assert_uint_eq(now->log[1].text.size, 2048);
    ck_assert_int_eq(jobq_ack(k.q, &id, &job->token, NULL, 0), JOBQ_OK);
    ck_assert_int_eq(jobq_log(k.q, &id, &job->token, "late", 4), JOBQ_STALE);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(jobq_list(k.q, &filter, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->jobs[0].log_count, 0); /* pages stay small */
    jobq_jobs_free(jobs);
    kit_close(&k);
}
END_TEST

static int talks(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;
    int count = jobq_ctx_job(ctx)->attempt == 1 ? 3 : 250;

    for (int i = 0; i < count; i++) {
        char line[32];
        int size = snprintf(line, sizeof line, "line %d", i);
        ck_assert_int_eq(jobq_ctx_log(ctx, line, (size_t)size), JOBQ_OK);
    }
    ck_assert_int_eq(jobq_ctx_log(ctx, NULL, 1), JOBQ_INVALID);
    (void)gate_handler(ctx, k);
    return jobq_ctx_job(ctx)->attempt == 1 ? JOBQ_RETRY : JOBQ_DONE;
}

START_TEST(from_a_handler)
{
    struct kit k;
    char last[32];

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, talks, &k);
    struct jobq_id id = kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    kit_turns(k.w);
    kit_tick(&k, PROGRESS_EVERY_MS);
    kit_turns(k.w);
    const struct jobq_job *job = kit_job(&k, &id); /* while it runs */
    ck_assert_uint_eq(job->log_count, 3);
    for (int i = 0; i < 3; i++) {
        snprintf(last, sizeof last, "line %d", i);
        expect_line(job, (size_t)i, 1, last);
    }
    gate_open(&k.gate, 1, JOBQ_DONE);
    KIT_UNTIL(k.w, failed, 1);
    kit_tick(&k, 10000);
    gate_open(&k.gate, 1, JOBQ_DONE);
    KIT_UNTIL(k.w, completed, 1);
    job = kit_job(&k, &id);
    ck_assert_uint_eq(job->log_count, 100); /* the newest, with the outcome */
    expect_line(job, 0, 2, "line 150");
    expect_line(job, 99, 2, "line 249");
    kit_close(&k);
}
END_TEST

START_TEST(a_store_that_fails_loses_none)
{
    struct kit k;

    open_behind_door(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, talks, &k);
    struct jobq_id id = kit_put(&k, "work", "x");
    kit_turns(k.w);
    gate_wait_started(&k.gate, 1);
    door.fail = 3;
    for (int i = 0; i < 20; i++) {
        kit_tick(&k, PROGRESS_EVERY_MS);
        kit_turns(k.w);
    }
    ck_assert_int_eq(door.fail, 0);
    const struct jobq_job *job = kit_job(&k, &id);
    ck_assert_uint_eq(job->log_count, 3); /* and none is there twice */
    expect_line(job, 0, 1, "line 0");
    expect_line(job, 2, 1, "line 2");
    gate_open(&k.gate, -1, JOBQ_DONE);
    KIT_UNTIL(k.w, failed, 1);
    ck_assert_uint_eq(kit_job(&k, &id)->log_count, 3);
    kit_close(&k);
}
END_TEST

static int early(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;

    atomic_fetch_add(&k->calls, jobq_ctx_log(ctx, "x", 1) == JOBQ_UNSUPPORTED);
    return JOBQ_DONE;
}

START_TEST(nothing_is_told_of_a_job_that_has_completed)
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 1, 1, JOBQ_WORKER_ACK_EARLY);
    jobq_worker_handle(k.w, NULL, early, &k);
    kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, completed, 1);
    kit_until_ended(&k);
    ck_assert_int_eq(atomic_load(&k.calls), 1);
    kit_close(&k);
}
END_TEST

START_TEST(where_the_store_keeps_none)
{
    static const char *const queues[] = { "work" };
    struct jobq_claim_options o = { .size = sizeof o, .queues = queues, .queue_count = 1 };
    struct jobq_jobs *jobs = NULL;
    struct kit k;
    struct jobq_backend *backend = door_open(&k);

    backend->capabilities &= ~(uint32_t)JOBQ_CAP_LOG;
    kit_open_with(&k, backend);
    door.kit = &k;
    kit_put(&k, "work", "x");
    ck_assert_int_eq(jobq_claim(k.q, &o, &jobs), JOBQ_OK);
    ck_assert_int_eq(jobq_log(k.q, &jobs->jobs[0].id, &jobs->jobs[0].token, "x", 1), JOBQ_UNSUPPORTED);
    jobq_jobs_free(jobs);
    kit_close(&k);
}
END_TEST

KIT_MAIN("log", by_hand, from_a_handler, a_store_that_fails_loses_none,
         nothing_is_told_of_a_job_that_has_completed, where_the_store_keeps_none)
