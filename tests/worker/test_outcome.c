/* SPDX-License-Identifier: MIT */
/* What a handler can say and what becomes of it: outcomes, park and resume, follow-ups. The rules are
 * those of lifecycle.md. */
#include "kit.h"

#include <string.h>

/* ---- outcomes ----------------------------------------------------------------------------------------- */

static int say_handler(struct jobq_ctx *ctx, void *user)
{
    const struct jobq_job *job = jobq_ctx_job(ctx);

    (void)user;
    ck_assert_int_eq(jobq_ctx_result(ctx, "a\0b", 3), JOBQ_OK);
    ck_assert_int_eq(jobq_ctx_error(ctx, "oh\0no", 5), JOBQ_OK);
    if (strcmp(job->kind, "retry_in") == 0)
        ck_assert_int_eq(jobq_ctx_delay(ctx, 7000), JOBQ_OK);
    if (strcmp(job->kind, "snooze") == 0)
        ck_assert_int_eq(jobq_ctx_delay(ctx, 9000), JOBQ_OK);
    return strcmp(job->kind, "done") == 0      ? JOBQ_DONE
           : strcmp(job->kind, "give_up") == 0 ? JOBQ_GIVE_UP
           : strcmp(job->kind, "snooze") == 0  ? JOBQ_SNOOZE
           : strcmp(job->kind, "release") == 0 ? JOBQ_RELEASE
           : strcmp(job->kind, "odd") == 0     ? 77
                                               : JOBQ_RETRY;
}

static struct jobq_id run_one(struct kit *k, const char *kind, size_t offset)
{
    struct jobq_id id;

    kit_open(k);
    kit_worker(k, 1, 1, 0);
    ck_assert_int_eq(jobq_worker_handle(k->w, NULL, say_handler, k), JOBQ_OK);
    id = kit_put(k, "work", kind);
    kit_until(k->w, offset, 1);
    return id;
}
#define RUN_ONE(k, kind, member) run_one(k, kind, offsetof(struct jobq_worker_counts, member))

START_TEST(done_completes_with_its_result) /* rules 1, 15; S14 */
{
    struct kit k;
    struct jobq_id id = RUN_ONE(&k, "done", completed);
    const struct jobq_job *job = kit_job(&k, &id);

    ck_assert_int_eq(job->state, JOBQ_COMPLETED);
    ck_assert_int_eq(job->attempt, 1);
    ck_assert_uint_eq(job->result.size, 3);
    ck_assert_mem_eq(job->result.data, "a\0b", 3);
    ck_assert_str_eq(job->worker, "w1");
    kit_close(&k);
}
END_TEST

START_TEST(retry_waits_for_its_back_off) /* rule 3 */
{
    struct kit k;
    struct jobq_id id = RUN_ONE(&k, "retry", failed);
    const struct jobq_job *job = kit_job(&k, &id);

    ck_assert_int_eq(job->state, JOBQ_SCHEDULED);
    ck_assert_int_eq(job->failures, 1);
    ck_assert_int_eq(job->crashes, 0);
    ck_assert_uint_eq(job->failures_log_count, 1);
    ck_assert_int_eq(job->failures_log[0].kind, JOBQ_ERROR_HANDLER);
    ck_assert_uint_eq(job->failures_log[0].text.size, 5);
    ck_assert_mem_eq(job->failures_log[0].text.data, "oh\0no", 5);
    kit_tick(&k, 2200); /* 2 s and a tenth of jitter */
    KIT_UNTIL(k.w, failed, 2);
    ck_assert_int_eq(kit_job(&k, &id)->attempt, 2);
    kit_tick(&k, 4400);
    KIT_UNTIL(k.w, failed, 3);
    job = kit_job(&k, &id);
    ck_assert_int_eq(job->state, JOBQ_DEAD);
    ck_assert_int_eq(job->reason, JOBQ_REASON_ATTEMPTS);
    kit_close(&k);
}
END_TEST

START_TEST(retry_with_a_delay_of_its_own) /* rule 3 */
{
    struct kit k;
    struct jobq_id id = RUN_ONE(&k, "retry_in", failed);
    const struct jobq_job *job = kit_job(&k, &id);

    ck_assert_int_eq(job->run_at_ms - job->failures_log[0].at_ms, 7000);
    kit_close(&k);
}
END_TEST

START_TEST(an_unknown_outcome_is_a_failure)
{
    struct kit k;
    struct jobq_id id = RUN_ONE(&k, "odd", failed);

    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_SCHEDULED);
    ck_assert_int_eq(kit_job(&k, &id)->failures, 1);
    kit_close(&k);
}
END_TEST

START_TEST(give_up_is_dead_at_once) /* rule 8 */
{
    struct kit k;
    struct jobq_id id = RUN_ONE(&k, "give_up", failed);
    const struct jobq_job *job = kit_job(&k, &id);

    ck_assert_int_eq(job->state, JOBQ_DEAD);
    ck_assert_int_eq(job->reason, JOBQ_REASON_PERMANENT);
    kit_close(&k);
}
END_TEST

START_TEST(snooze_is_free_and_comes_back) /* rule 7 */
{
    struct kit k;
    struct jobq_id id = RUN_ONE(&k, "snooze", snoozed);
    const struct jobq_job *job = kit_job(&k, &id);

    ck_assert_int_eq(job->state, JOBQ_SCHEDULED);
    ck_assert_int_eq(job->failures, 0);
    ck_assert_int_eq(job->snoozes, 1);
    kit_tick(&k, 9000);
    KIT_UNTIL(k.w, snoozed, 2);
    ck_assert_int_eq(kit_job(&k, &id)->attempt, 2);
    kit_close(&k);
}
END_TEST

START_TEST(release_keeps_its_place_and_is_free) /* rule 7 */
{
    struct kit k;
    struct jobq_id id = RUN_ONE(&k, "release", released);
    const struct jobq_job *job = kit_job(&k, &id);

    ck_assert_int_eq(job->failures, 0);
    ck_assert_int_ge(job->releases, 1);
    kit_close(&k);
}
END_TEST

/* ---- park and resume ---------------------------------------------------------------------------------- */

struct parking {
    struct jobq_callback callback;
    bool early; /* call back before the handler returns */
    int delay_ms;
    bool token;
};

static int park_handler(struct jobq_ctx *ctx, void *user)
{
    struct parking *p = user;
    const struct jobq_job *job = jobq_ctx_job(ctx);

    if (job->data.data) {
        ck_assert_uint_eq(job->data.size, 4);
        ck_assert_mem_eq(job->data.data, "back", 4);
        return JOBQ_DONE;
    }
    if (p->token)
        ck_assert_int_eq(jobq_ctx_callback(ctx, &p->callback), JOBQ_OK);
    if (p->early)
        ck_assert_int_eq(jobq_unpark(ctx->worker->q, &p->callback, "back", 4), JOBQ_OK);
    if (p->delay_ms)
        ck_assert_int_eq(jobq_ctx_delay(ctx, p->delay_ms), JOBQ_OK);
    return JOBQ_PARK;
}

static struct jobq_id park_one(struct kit *k, struct parking *p)
{
    kit_open(k);
    kit_worker(k, 1, 1, 0);
    ck_assert_int_eq(jobq_worker_handle(k->w, "park", park_handler, p), JOBQ_OK);
    return kit_put(k, "work", "park");
}

START_TEST(park_and_resume) /* rule 11 */
{
    struct kit k;
    struct parking p = { .token = true, .delay_ms = 60000 };
    struct jobq_id id = park_one(&k, &p);

    KIT_UNTIL(k.w, parked, 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_BLOCKED);
    ck_assert_int_eq(kit_job(&k, &id)->reason, JOBQ_REASON_CALLBACK);
    ck_assert_int_eq(jobq_unpark(k.q, &p.callback, "back", 4), JOBQ_OK);
    KIT_UNTIL(k.w, completed, 1);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_COMPLETED);
    ck_assert_int_eq(kit_job(&k, &id)->failures, 0);
    kit_close(&k);
}
END_TEST

START_TEST(callback_faster_than_the_park) /* rule 11; design "policy from an old copy" */
{
    struct kit k;
    struct parking p = { .token = true, .early = true, .delay_ms = 60000 };
    struct jobq_id id = park_one(&k, &p);

    KIT_UNTIL(k.w, completed, 1);
    ck_assert_int_eq(kit_job(&k, &id)->attempt, 2);
    ck_assert_int_eq(kit_job(&k, &id)->failures, 0);
    kit_close(&k);
}
END_TEST

START_TEST(callback_that_never_comes) /* rule 11 */
{
    struct kit k;
    struct parking p = { .token = true, .delay_ms = 60000 };
    struct jobq_id id = park_one(&k, &p);

    KIT_UNTIL(k.w, parked, 1);
    kit_tick(&k, 61000);
    KIT_UNTIL(k.w, swept, 1);
    ck_assert_int_eq(kit_job(&k, &id)->failures, 1);
    ck_assert_int_eq(kit_job(&k, &id)->failures_log[0].kind, JOBQ_ERROR_CALLBACK);
    kit_close(&k);
}
END_TEST

START_TEST(park_without_token_or_deadline_is_a_failure)
{
    struct parking cases[] = { { .delay_ms = 60000 }, { .token = true } };

    for (size_t i = 0; i < 2; i++) {
        struct kit k;
        struct jobq_id id = park_one(&k, &cases[i]);
        KIT_UNTIL(k.w, failed, 1);
        ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_SCHEDULED);
        ck_assert_uint_gt(kit_job(&k, &id)->failures_log[0].text.size, 0);
        kit_close(&k);
    }
}
END_TEST

/* ---- follow-ups --------------------------------------------------------------------------------------- */

static int follow_handler(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;
    struct jobq_id first;
    struct jobq_spec spec = { .size = sizeof spec, .queue = "later", .kind = "a" };
    struct jobq_spec bad = { .size = sizeof bad, .queue = "" };
    char payload[] = "copied";

    spec.payload = (struct jobq_bytes){ payload, 6 };
    ck_assert_int_eq(jobq_ctx_then(ctx, &spec, &first), JOBQ_OK);
    memset(payload, 'x', 6);
    struct jobq_parent parent = { .id = first };
    spec = (struct jobq_spec){ .size = sizeof spec, .queue = "later", .kind = "b", .parents = &parent,
                               .parent_count = 1 };
    ck_assert_int_eq(jobq_ctx_then(ctx, &spec, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_ctx_then(ctx, &bad, NULL), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "queue");
    return k->gate.outcome;
}

static size_t listed(struct kit *k, const char *queue, uint32_t states)
{
    struct jobq_filter filter = { .size = sizeof filter, .queue = queue, .states = states };
    struct jobq_jobs *jobs;
    size_t count;

    ck_assert_int_eq(jobq_list(k->q, &filter, &jobs), JOBQ_OK);
    count = jobs->count;
    if (count && states == (1u << JOBQ_READY))
        ck_assert_mem_eq(jobs->jobs[0].payload.data, "copied", 6);
    jobq_jobs_free(jobs);
    return count;
}

START_TEST(follow_ups_come_with_the_ack) /* rule 11: fan-out in the exchange of the ack */
{
    struct kit k;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, follow_handler, &k);
    kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, completed, 1);
    ck_assert_uint_eq(listed(&k, "later", 1u << JOBQ_READY), 1);
    ck_assert_uint_eq(listed(&k, "later", 1u << JOBQ_BLOCKED), 1);
    kit_close(&k);
}
END_TEST

START_TEST(no_follow_ups_without_success) /* rule 1 */
{
    struct kit k;

    kit_open(&k);
    k.gate.outcome = JOBQ_RETRY;
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, follow_handler, &k);
    kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, failed, 1);
    ck_assert_uint_eq(listed(&k, "later", 0), 0);
    kit_close(&k);
}
END_TEST

static int many_handler(struct jobq_ctx *ctx, void *user)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = "later" };

    (void)user;
    for (int i = 0; i < 999; i++)
        ck_assert_int_eq(jobq_ctx_then(ctx, &spec, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_ctx_then(ctx, &spec, NULL), JOBQ_INVALID);
    return JOBQ_DONE;
}

START_TEST(as_many_follow_ups_as_an_exchange_takes) /* contract "Bounds" */
{
    struct kit k;
    struct jobq_stats *stats;

    kit_open(&k);
    kit_worker(&k, 2, 2, 0);
    jobq_worker_handle(k.w, NULL, many_handler, &k);
    kit_put(&k, "work", "x");
    kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, completed, 2);
    ck_assert_int_eq(jobq_stats(k.q, "later", &stats), JOBQ_OK);
    ck_assert_uint_eq(stats->queues[0].present[JOBQ_READY], 1998);
    jobq_stats_free(stats);
    kit_close(&k);
}
END_TEST

/* ---- bad words ----------------------------------------------------------------------------------------- */

static int pedantic_handler(struct jobq_ctx *ctx, void *user)
{
    static const char big[2 << 20];

    (void)user;
    ck_assert_int_eq(jobq_ctx_result(ctx, big, sizeof big), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "result");
    ck_assert_int_eq(jobq_ctx_result(ctx, NULL, 1), JOBQ_INVALID);
    ck_assert_int_eq(jobq_ctx_delay(ctx, -1), JOBQ_INVALID);
    ck_assert_int_eq(jobq_ctx_delay(ctx, INT64_MAX), JOBQ_INVALID);
    ck_assert_int_eq(jobq_ctx_progress(ctx, NULL, 1), JOBQ_INVALID);
    ck_assert_int_eq(jobq_ctx_error(ctx, big, sizeof big), JOBQ_OK); /* the failure path cannot fail: cut */
    return JOBQ_GIVE_UP;
}

START_TEST(bad_words_of_a_handler) /* rules 15, 16 */
{
    struct kit k;
    struct jobq_id id;

    kit_open(&k);
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, NULL, pedantic_handler, &k);
    id = kit_put(&k, "work", "x");
    KIT_UNTIL(k.w, failed, 1);
    ck_assert_uint_eq(kit_job(&k, &id)->failures_log[0].text.size, 8192);
    kit_close(&k);
}
END_TEST

KIT_MAIN("outcome", done_completes_with_its_result, retry_waits_for_its_back_off,
         retry_with_a_delay_of_its_own, an_unknown_outcome_is_a_failure, give_up_is_dead_at_once,
         snooze_is_free_and_comes_back, release_keeps_its_place_and_is_free, park_and_resume,
         callback_faster_than_the_park, callback_that_never_comes,
         park_without_token_or_deadline_is_a_failure, follow_ups_come_with_the_ack,
         no_follow_ups_without_success, as_many_follow_ups_as_an_exchange_takes, bad_words_of_a_handler)
