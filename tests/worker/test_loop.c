/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* gettid */
/* The loop: outcomes, one exchange per turn, deadlines, kinds, weights, draining, and what is left behind.
 * The rules are those of lifecycle.md. */
#include "kit.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

    kit_open_with(&k, jobq_memory(), "memory:shared");
    kit_open_with(&other, jobq_memory(), "memory:shared");
    kit_worker(&k, 1, 1, 0);
    jobq_worker_handle(k.w, "noop", count_handler, &k);
    fd.fd = jobq_worker_fd(k.w);
    kit_turns(k.w);
    kit_put(&other, "work", "noop");
    ck_assert_int_eq(poll(&fd, 1, -1), 1);
    KIT_UNTIL(k.w, completed, 1);
    kit_close(&k);
    kit_close(&other);
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

START_TEST(nothing_is_left_behind) /* threads and descriptors */
{
    struct kit k;

    start_the_first_thread();
    size_t threads = kit_threads(), fds = kit_descriptors();

    for (int round = 0; round < 3; round++) {
        kit_open(&k);
        kit_worker(&k, 4, 4, JOBQ_WORKER_DRAIN);
        jobq_worker_handle(k.w, NULL, count_handler, &k);
        ck_assert_uint_eq(kit_threads(), threads); /* none before it runs */
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
        _exit(ok ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
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
    REFUSED("reserved", reserved, 1);
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

KIT_MAIN("loop", done_completes_with_its_result, retry_waits_for_its_back_off, retry_with_a_delay_of_its_own,
         an_unknown_outcome_is_a_failure, give_up_is_dead_at_once, snooze_is_free_and_comes_back,
         release_keeps_its_place_and_is_free, park_and_resume, callback_faster_than_the_park,
         callback_that_never_comes, park_without_token_or_deadline_is_a_failure, follow_ups_come_with_the_ack,
         no_follow_ups_without_success, as_many_follow_ups_as_an_exchange_takes, a_batch_is_one_exchange,
         idle_means_no_exchange, enqueue_on_the_same_handle_wakes, enqueue_on_another_handle_wakes,
         a_delayed_job_starts_at_its_time, one_thread_under_poll, progress_is_shown_and_rides_along,
         an_unknown_kind_is_not_claimed, the_handler_of_its_kind_or_of_the_rest, strict_order,
         weights_share_the_turns, no_batch_holds_what_it_runs, two_workers_on_one_handle,
         drain_ends_when_nothing_is_left, drain_waits_for_what_others_run, nothing_is_left_behind,
         a_forked_child_is_refused, bad_options_name_the_field, bad_words_of_a_handler)
