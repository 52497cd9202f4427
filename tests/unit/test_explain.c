/* SPDX-License-Identifier: MIT */
/*
 * Why is this job not running? Every reason on the memory store as an application meets it, each undone by taking its
 * cause away; then the pure function over random facts: always one reason, with a text, and with the facts it names.
 */
#include "unit.h"

#include <jobq/memory.h>

#include <string.h>

static struct jobq *q;
static struct jobq_worker *w;
static const char *const queue = "mail";

static int nothing(struct jobq_ctx *ctx, void *user)
{
    (void)ctx, (void)user;
    return JOBQ_DONE;
}

static void setup(void)
{
    ck_assert_int_eq(jobq_open(&q, jobq_memory(), "memory:", NULL), JOBQ_OK);
}

/* A worker that says which queue and kind it has, and takes nothing while the queue is paused. */
static void register_worker(const char *kind)
{
    struct jobq_worker_options o = { .size = sizeof o, .name = "w1", .queues = &queue, .queue_count = 1 };

    ck_assert_int_eq(jobq_pause(q, queue), JOBQ_OK);
    ck_assert_int_eq(jobq_worker_create(&w, q, &o), JOBQ_OK);
    ck_assert_int_eq(jobq_worker_handle(w, kind, nothing, NULL), JOBQ_OK);
    ck_assert_int_ge(jobq_worker_fd(w), 0);
    ck_assert_int_eq(jobq_worker_dispatch(w), JOBQ_OK);
    ck_assert_int_eq(jobq_resume(q, queue), JOBQ_OK);
}

static void teardown(void)
{
    jobq_worker_destroy(w);
    jobq_close(q);
}

static struct jobq_id put(struct jobq_spec spec)
{
    struct jobq_enqueued out = { .size = sizeof out };

    spec.size = sizeof spec;
    spec.queue = queue;
    ck_assert_msg(jobq_enqueue(q, &spec, &out) == JOBQ_OK, "%s", jobq_last_error()->text);
    return out.id;
}

static struct jobq_token claim(void)
{
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .worker = "by-hand",
                                    .flags = JOBQ_NO_SWEEP };
    struct jobq_jobs *jobs;
    struct jobq_token token;

    ck_assert_int_eq(jobq_claim(q, &o, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 1);
    token = jobs->jobs[0].token;
    jobq_jobs_free(jobs);
    return token;
}

static struct jobq_explanation explain(const struct jobq_id *id)
{
    struct jobq_explanation e = { .size = sizeof e };

    ck_assert_msg(jobq_explain(q, id, &e) == JOBQ_OK, "%s", jobq_last_error()->text);
    ck_assert_str_ne(e.text, "");
    return e;
}

static struct jobq_explanation says(const struct jobq_id *id, int why)
{
    struct jobq_explanation e = explain(id);

    ck_assert_msg(e.why == why, "%s: %s", jobq_why_name(e.why), e.text);
    return e;
}

START_TEST(nobody_works_the_queue_until_a_worker_has_it)
{
    setup();
    struct jobq_id id = put((struct jobq_spec){ 0 });
    ck_assert_str_eq(says(&id, JOBQ_WHY_NO_WORKER).who, "mail");
    register_worker(NULL);
    says(&id, JOBQ_WHY_NEXT);
    jobq_clock_advance(q, 3 * 30000 + 1);
    says(&id, JOBQ_WHY_NO_WORKER);
    teardown();
}
END_TEST

START_TEST(no_worker_takes_the_kind)
{
    setup();
    register_worker("letter");
    struct jobq_id id = put((struct jobq_spec){ .kind = "parcel" }), other = put((struct jobq_spec){ .kind = "letter" });
    struct jobq_explanation e = says(&id, JOBQ_WHY_KIND);
    ck_assert_str_eq(e.who, "parcel");
    ck_assert_uint_eq(e.count, 1);
    ck_assert_int_ne(explain(&other).why, JOBQ_WHY_KIND);
    teardown();
}
END_TEST

START_TEST(paused_until_resumed)
{
    setup();
    register_worker(NULL);
    struct jobq_id id = put((struct jobq_spec){ 0 });
    ck_assert_int_eq(jobq_pause(q, queue), JOBQ_OK);
    ck_assert_str_eq(says(&id, JOBQ_WHY_PAUSED).who, "mail");
    ck_assert_int_eq(jobq_resume(q, queue), JOBQ_OK);
    says(&id, JOBQ_WHY_NEXT);
    teardown();
}
END_TEST

START_TEST(not_due_until_its_time)
{
    setup();
    register_worker(NULL);
    struct jobq_id id = put((struct jobq_spec){ .delay_ms = 20000 });
    struct jobq_explanation e = says(&id, JOBQ_WHY_NOT_DUE);
    struct jobq_jobs *job;
    ck_assert_int_eq(jobq_get(q, &id, &job), JOBQ_OK);
    ck_assert_int_eq(e.until_ms, job->jobs[0].run_at_ms);
    jobq_jobs_free(job);
    jobq_clock_advance(q, 20000);
    says(&id, JOBQ_WHY_NEXT);
    teardown();
}
END_TEST

START_TEST(behind_those_of_smaller_rank)
{
    setup();
    register_worker(NULL);
    struct jobq_id id = put((struct jobq_spec){ .priority = 5 });
    put((struct jobq_spec){ .priority = 1 });
    put((struct jobq_spec){ .priority = 9 });
    struct jobq_id urgent = put((struct jobq_spec){ .priority = 0 });
    struct jobq_explanation e = says(&id, JOBQ_WHY_BEHIND);
    ck_assert_uint_eq(e.count, 2);
    ck_assert_int_eq(e.at_least, 0);
    says(&urgent, JOBQ_WHY_NEXT);
    claim();
    claim();
    says(&id, JOBQ_WHY_NEXT);
    teardown();
}
END_TEST

START_TEST(behind_more_than_are_counted)
{
    struct jobq_spec *many = calloc(1000, sizeof *many);

    setup();
    register_worker(NULL);
    for (int i = 0; i < 1000; i++)
        many[i] = (struct jobq_spec){ .size = sizeof *many, .queue = queue };
    for (int i = 0; i < 12; i++)
        ck_assert_int_eq(jobq_enqueue_many(q, many, 1000, NULL), JOBQ_OK);
    struct jobq_id id = put((struct jobq_spec){ 0 });
    struct jobq_explanation e = says(&id, JOBQ_WHY_BEHIND);
    ck_assert_uint_eq(e.count, 10000);
    ck_assert_int_ne(e.at_least, 0);
    free(many);
    teardown();
}
END_TEST

START_TEST(waits_for_another_job)
{
    setup();
    register_worker(NULL);
    struct jobq_id parent = put((struct jobq_spec){ 0 });
    struct jobq_parent edge = { parent, JOBQ_PARENT_FAIL };
    struct jobq_id child = put((struct jobq_spec){ .parents = &edge, .parent_count = 1 });
    struct jobq_explanation e = says(&child, JOBQ_WHY_DEPENDENCY);
    ck_assert_mem_eq(&e.job, &parent, sizeof parent);
    ck_assert_uint_eq(e.count, 1);
    struct jobq_token token = claim();
    says(&child, JOBQ_WHY_DEPENDENCY);
    ck_assert_int_eq(jobq_ack(q, &parent, &token, NULL, 0), JOBQ_OK);
    says(&child, JOBQ_WHY_NEXT);
    teardown();
}
END_TEST

START_TEST(held_until_the_hold_is_lifted)
{
    setup();
    register_worker(NULL);
    struct jobq_id id = put((struct jobq_spec){ .held = 1 });
    says(&id, JOBQ_WHY_HELD);
    ck_assert_int_eq(jobq_unhold(q, &id), JOBQ_OK);
    says(&id, JOBQ_WHY_NEXT);
    teardown();
}
END_TEST

START_TEST(parked_until_its_callback)
{
    struct jobq_callback callback;

    setup();
    register_worker(NULL);
    struct jobq_id id = put((struct jobq_spec){ 0 });
    struct jobq_token token = claim();
    ck_assert_str_eq(says(&id, JOBQ_WHY_RUNNING).who, "by-hand");
    ck_assert_int_eq(jobq_callback_new(q, &id, &token, &callback), JOBQ_OK);
    ck_assert_int_eq(jobq_park(q, &id, &token, 5000), JOBQ_OK);
    ck_assert_int_gt(says(&id, JOBQ_WHY_PARKED).until_ms, 0);
    ck_assert_int_eq(jobq_unpark(q, &callback, NULL, 0), JOBQ_OK);
    says(&id, JOBQ_WHY_NEXT);
    teardown();
}
END_TEST

START_TEST(running_then_stuck_then_ended)
{
    setup();
    register_worker(NULL);
    struct jobq_id id = put((struct jobq_spec){ 0 });
    struct jobq_token token = claim();
    int64_t until = says(&id, JOBQ_WHY_RUNNING).until_ms;
    jobq_clock_advance(q, 30000);
    struct jobq_explanation e = says(&id, JOBQ_WHY_STUCK);
    ck_assert_int_eq(e.until_ms, until);
    ck_assert_int_eq(jobq_ack(q, &id, &token, NULL, 0), JOBQ_OK);
    says(&id, JOBQ_WHY_COMPLETED);
    teardown();
}
END_TEST

START_TEST(expired_dead_cancelled)
{
    struct jobq_failure f = { .size = sizeof f, .permanent = 1 };

    setup();
    register_worker(NULL);
    struct jobq_id id = put((struct jobq_spec){ .expires_in_ms = 1000 }), other = put((struct jobq_spec){ 0 });
    jobq_clock_advance(q, 1000);
    says(&id, JOBQ_WHY_EXPIRED);
    ck_assert_int_eq(jobq_sweep(q, 10, NULL), JOBQ_OK);
    ck_assert_ptr_nonnull(strstr(says(&id, JOBQ_WHY_DEAD).text, "EXPIRED"));
    struct jobq_token token = claim();
    ck_assert_int_eq(jobq_fail(q, &other, &token, &f), JOBQ_OK);
    ck_assert_ptr_nonnull(strstr(says(&other, JOBQ_WHY_DEAD).text, "PERMANENT"));
    struct jobq_id third = put((struct jobq_spec){ 0 });
    ck_assert_int_eq(jobq_cancel(q, &third, 0), JOBQ_OK);
    says(&third, JOBQ_WHY_CANCELLED);
    teardown();
}
END_TEST

START_TEST(lost_in_company_it_waits_to_run_alone)
{
    setup();
    struct jobq_id id = put((struct jobq_spec){ .max_crashes = 1 });
    put((struct jobq_spec){ 0 });
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .limit = 2 };
    struct jobq_jobs *jobs;
    ck_assert_int_eq(jobq_claim(q, &o, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 2);
    ck_assert_int_eq(jobq_ack(q, &jobs->jobs[1].id, &jobs->jobs[1].token, NULL, 0), JOBQ_OK);
    jobq_jobs_free(jobs);
    jobq_clock_advance(q, 30000);
    ck_assert_int_eq(jobq_sweep(q, 10, NULL), JOBQ_OK);
    jobq_clock_advance(q, 30000);
    register_worker(NULL);
    says(&id, JOBQ_WHY_ALONE);
    teardown();
}
END_TEST

static void limit(int of, const char *name, uint32_t set, int64_t value, const char *plan)
{
    struct jobq_limit l = { .size = sizeof l, .of = of, .set = set, .name = name, .plan = plan, .concurrency = value,
                            .group_concurrency = value, .rate = value, .rate_period_ms = 60000 };
    ck_assert_msg(jobq_limit_set(q, &l) == JOBQ_OK, "%s", jobq_last_error()->text);
}

/* Rule 10: two jobs of a group, one of which runs; what is in the way of the other goes away with its limit. */
static struct jobq_id one_runs_one_waits(void)
{
    setup();
    register_worker(NULL);
    put((struct jobq_spec){ .group = "g" });
    claim();
    return put((struct jobq_spec){ .group = "g" });
}

START_TEST(limit_of_the_queue)
{
    struct jobq_id id = one_runs_one_waits();
    says(&id, JOBQ_WHY_NEXT);
    limit(JOBQ_LIMIT_QUEUE, "mail", JOBQ_LIMIT_CONCURRENCY, 1, NULL);
    struct jobq_explanation e = says(&id, JOBQ_WHY_LIMIT_QUEUE);
    ck_assert_str_eq(e.who, "mail");
    ck_assert_uint_eq(e.count, 1);
    limit(JOBQ_LIMIT_QUEUE, "mail", JOBQ_LIMIT_CONCURRENCY, 2, NULL);
    says(&id, JOBQ_WHY_NEXT);
    teardown();
}
END_TEST

START_TEST(limit_of_the_group_in_the_queue)
{
    struct jobq_id id = one_runs_one_waits(), other = put((struct jobq_spec){ .group = "h" });
    limit(JOBQ_LIMIT_QUEUE, "mail", JOBQ_LIMIT_GROUP_CONCURRENCY, 1, NULL);
    struct jobq_explanation e = says(&id, JOBQ_WHY_LIMIT_QUEUE_GROUP);
    ck_assert_str_eq(e.who, "g");
    ck_assert_uint_eq(e.count, 1);
    says(&other, JOBQ_WHY_NEXT);
    teardown();
}
END_TEST

START_TEST(limit_of_the_group_its_plan_or_every_group)
{
    struct jobq_id id = one_runs_one_waits();
    limit(JOBQ_LIMIT_GROUP, "", JOBQ_LIMIT_CONCURRENCY, 1, NULL);
    ck_assert_str_eq(says(&id, JOBQ_WHY_LIMIT_GROUP).who, "g");
    limit(JOBQ_LIMIT_PLAN, "pro", JOBQ_LIMIT_CONCURRENCY, 2, NULL);
    limit(JOBQ_LIMIT_GROUP, "g", JOBQ_LIMIT_PLAN_NAME, 0, "pro");
    says(&id, JOBQ_WHY_NEXT);
    limit(JOBQ_LIMIT_PLAN, "pro", JOBQ_LIMIT_CONCURRENCY, 0, NULL);
    says(&id, JOBQ_WHY_LIMIT_GROUP);
    limit(JOBQ_LIMIT_GROUP, "g", JOBQ_LIMIT_CONCURRENCY, JOBQ_LIMIT_NONE, NULL);
    says(&id, JOBQ_WHY_NEXT);
    teardown();
}
END_TEST

START_TEST(rate_of_the_queue_and_of_the_group)
{
    setup();
    register_worker(NULL);
    put((struct jobq_spec){ .group = "g" });
    limit(JOBQ_LIMIT_GROUP, "g", JOBQ_LIMIT_RATE, 1, NULL);
    claim();
    struct jobq_id id = put((struct jobq_spec){ .group = "g" });
    struct jobq_explanation e = says(&id, JOBQ_WHY_RATE_GROUP);
    ck_assert_str_eq(e.who, "g");
    ck_assert_int_gt(e.until_ms, 0);
    limit(JOBQ_LIMIT_QUEUE, "mail", JOBQ_LIMIT_RATE, 0, NULL);
    ck_assert_str_eq(says(&id, JOBQ_WHY_RATE_QUEUE).who, "mail");
    limit(JOBQ_LIMIT_QUEUE, "mail", JOBQ_LIMIT_RATE, JOBQ_LIMIT_NONE, NULL);
    jobq_clock_advance(q, 70000);
    claim();
    says(&id, JOBQ_WHY_RUNNING);
    teardown();
}
END_TEST

START_TEST(unknown_ids_and_bad_input)
{
    struct jobq_explanation e = { .size = sizeof e }, small = { .size = 8 };
    struct jobq_id id;

    setup();
    ck_assert_int_eq(jobq_id_new(&id), JOBQ_OK);
    ck_assert_int_eq(jobq_explain(q, &id, &e), JOBQ_NOT_FOUND);
    ck_assert_int_eq(jobq_explain(q, NULL, &e), JOBQ_INVALID);
    ck_assert_int_eq(jobq_explain(q, &id, &small), JOBQ_INVALID);
    ck_assert_int_eq(jobq_explain(q, &id, NULL), JOBQ_INVALID);
    teardown();
}
END_TEST

/* ---- the function is total ---------------------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static const char *one_of(uint64_t *state, const char *a, const char *b, const char *c)
{
    const char *const all[] = { a, b, c };
    return all[next_random(state) % 3];
}

START_TEST(any_facts_have_exactly_one_reason)
{
    uint64_t r = 20261;
    unsigned seen = 0;

    for (int i = 0; i < 100000; i++) {
        int64_t now = 1000;
        struct jobq_worker_stats workers[2] = {
            { .queues = one_of(&r, "q", "a,q", "qq"), .kinds = one_of(&r, "", "k", "kk,l"), .lease_ms = 10,
              .seen_at_ms = (int64_t)(next_random(&r) % 1000) },
            { .queues = one_of(&r, "q,b", "b", "xq"), .kinds = one_of(&r, "l", "k", "l,k"), .lease_ms = 400,
              .seen_at_ms = (int64_t)(next_random(&r) % 1000), .stop_asked = next_random(&r) % 4 == 0 },
        };
        struct jobq_job job = { .queue = "q", .kind = "k", .worker = "w", .group = "",
                                .state = 1 + (int32_t)(next_random(&r) % 7),
                                .reason = (int32_t)(next_random(&r) % 4),
                                .pending_parents = (int32_t)(next_random(&r) % 3),
                                .stuck = (int32_t)(next_random(&r) % 2),
                                .expires_at_ms = next_random(&r) % 4 ? 0 : (int64_t)(next_random(&r) % 2000),
                                .failures = (int32_t)(next_random(&r) % 2) };
        struct explain_facts f = { .job = &job, .now_ms = now, .workers = workers,
                                   .worker_count = next_random(&r) % 3, .ahead = next_random(&r) % 2,
                                   .alone = next_random(&r) % 2, .paused = next_random(&r) % 3 == 0,
                                   .queue_limit.full = next_random(&r) % 8 == 0, .lane_limit.full = next_random(&r) % 8 == 0,
                                   .group_limit.full = next_random(&r) % 8 == 0,
                                   .queue_rate_ms = next_random(&r) % 8 == 0, .group_rate_ms = next_random(&r) % 8 == 0,
                                   .parent_state = JOBQ_READY };
        struct jobq_explanation e;
        memset(&e, 0xff, sizeof e);
        explain_job(&f, &e);
        ck_assert_int_ge(e.why, JOBQ_WHY_NEXT);
        ck_assert_int_le(e.why, JOBQ_WHY_RATE_GROUP);
        ck_assert_str_ne(e.text, "");
        ck_assert_str_ne(jobq_why_name(e.why), "?");
        ck_assert_int_eq(e.why == JOBQ_WHY_RUNNING || e.why == JOBQ_WHY_STUCK, job.state == JOBQ_RUNNING);
        ck_assert_int_eq(e.why >= JOBQ_WHY_COMPLETED && e.why <= JOBQ_WHY_CANCELLED, job.state >= JOBQ_COMPLETED);
        ck_assert(e.why != JOBQ_WHY_BEHIND || e.count > 0);
        ck_assert(e.why != JOBQ_WHY_PAUSED || f.paused);
        seen |= 1u << e.why;
    }
    ck_assert_uint_eq(seen, (1u << (JOBQ_WHY_RATE_GROUP + 1)) - 2); /* each of them came up */
}
END_TEST

UNIT_MAIN("explain", nobody_works_the_queue_until_a_worker_has_it, no_worker_takes_the_kind, paused_until_resumed,
          not_due_until_its_time, behind_those_of_smaller_rank, behind_more_than_are_counted, waits_for_another_job,
          held_until_the_hold_is_lifted, parked_until_its_callback, running_then_stuck_then_ended,
          expired_dead_cancelled, lost_in_company_it_waits_to_run_alone, limit_of_the_queue,
          limit_of_the_group_in_the_queue, limit_of_the_group_its_plan_or_every_group, rate_of_the_queue_and_of_the_group,
          unknown_ids_and_bad_input,
          any_facts_have_exactly_one_reason)
