/* SPDX-License-Identifier: MIT */
/* Several connections at the same moment: a tick fires once, nothing is counted twice or not at all. */
#include "kit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define CROWD 8
#define ROUNDS 20

/* What each of the crowd has: a connection, an arena, numbers that are nobody else's. */
struct one {
    struct jobq_store *store;
    struct jobq_arena *arena;
    struct jobq_error err;
    int number, made[ROUNDS + 1];
    bool failed;
};

static pthread_barrier_t all_here;

static void crowd(struct one *ones, void *(*act)(void *))
{
    pthread_t threads[CROWD];
    pthread_barrier_init(&all_here, NULL, CROWD);
    for (int i = 0; i < CROWD; i++) {
        ones[i] = (struct one){ .store = store_open(uri_with("")), .arena = jobq_arena_create(), .number = i };
        ck_assert_ptr_nonnull(ones[i].arena);
    }
    for (int i = 0; i < CROWD; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, act, &ones[i]), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CROWD; i++) {
        ck_assert_msg(!ones[i].failed, "%s", ones[i].err.text);
        jobq_arena_destroy(ones[i].arena);
        store_close(ones[i].store);
    }
    pthread_barrier_destroy(&all_here);
}

/* Without a receipt: nothing gets lost here. */
static int run(struct one *me, struct jobq_exchange *x)
{
    x->size = sizeof *x;
    int status = jobq_postgres()->exchange(me->store, x, me->arena, &me->err);
    me->failed |= status != JOBQ_OK || (x->want && x->want_unit != JOBQ_OK);
    return status;
}

static const struct jobq_bytes schedule_name = { .data = "nightly", .size = 7 };

static void define_schedule(void)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_settings settings = {
        .size = sizeof settings, .what = JOBQ_CONFIGURE_SCHEDULE, .set = JOBQ_SETTING_SCHEDULE,
        .name = schedule_name, .schedule = schedule_name, .version = 0,
    };
    ck_assert_int_eq(jobq_postgres()->configure(s, &settings, &last), JOBQ_OK);
    store_close(s);
}

static void *fire(void *user)
{
    struct one *me = user;
    for (int round = 1; round <= ROUNDS; round++) {
        const struct jobq_put_tick tick = { .schedule = schedule_name, .version = 1, .nominal_ms = round,
                                            .next_ms = round + 1 };
        struct jobq_put put = put_of((uint32_t)(1000 * me->number + round));
        struct jobq_exchange x = { .puts = &put, .put_count = 1 };
        put.tick = &tick;
        pthread_barrier_wait(&all_here);
        if (run(me, &x) != JOBQ_OK)
            continue;
        me->made[round] = put.verdict == JOBQ_OK;
        me->failed |= put.verdict != JOBQ_OK && put.verdict != JOBQ_ALREADY;
    }
    return NULL;
}

START_TEST(a_tick_fires_once)
{
    struct one ones[CROWD];
    define_schedule();
    crowd(ones, fire);
    for (int round = 1; round <= ROUNDS; round++) {
        int made = 0;
        for (int i = 0; i < CROWD; i++)
            made += ones[i].made[round];
        ck_assert_msg(made == 1, "nominal time %d fired %d times", round, made);
    }
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), ROUNDS);
    ck_assert_int_eq(sql_value("SELECT fired_at FROM @.schedule"), ROUNDS);
}
END_TEST

/* Two who define it anew from the same version: one is told. */
static void *define(void *user)
{
    struct one *me = user;
    for (int round = 0; round < ROUNDS; round++) {
        const struct jobq_settings settings = {
            .size = sizeof settings, .what = JOBQ_CONFIGURE_SCHEDULE, .set = JOBQ_SETTING_SCHEDULE,
            .name = schedule_name, .schedule = schedule_name, .version = round,
        };
        pthread_barrier_wait(&all_here);
        int status = jobq_postgres()->configure(me->store, &settings, &me->err);
        me->made[round] = status == JOBQ_OK;
        me->failed |= status != JOBQ_OK && status != JOBQ_OUTDATED;
        pthread_barrier_wait(&all_here);
    }
    return NULL;
}

START_TEST(a_version_is_given_once)
{
    struct one ones[CROWD];
    crowd(ones, define);
    for (int round = 0; round < ROUNDS; round++) {
        int made = 0;
        for (int i = 0; i < CROWD; i++)
            made += ones[i].made[round];
        ck_assert_msg(made == 1, "version %d was made %d times", round + 1, made);
    }
    ck_assert_int_eq(sql_value("SELECT version FROM @.schedule"), ROUNDS);
}
END_TEST

/* ---- figures --------------------------------------------------------------------------------------------------------- */

#define JOBS_EACH 60

static void put_claim_complete(struct one *me, int number)
{
    const struct jobq_bytes queue = { "q", 1 };
    struct jobq_put put = put_of((uint32_t)number);
    struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 1, .lease_ms = 30000,
                              .worker = { "w", 1 } };
    struct jobq_exchange x = { .puts = &put, .put_count = 1, .want = &want };
    if (run(me, &x) != JOBQ_OK || !want.row_count) /* another has it */
        return;
    struct jobq_change change = { .id = want.rows[0].id, .by = JOBQ_BY_TOKEN, .token = want.rows[0].token,
                                  .edits = JOBQ_ANY_EDITS, .outcome = JOBQ_OUTCOME_COMPLETE,
                                  .state = JOBQ_ROW_COMPLETED };
    if (number % 3 == 0) {
        change.outcome = JOBQ_OUTCOME_FAIL;
        change.state = JOBQ_ROW_DEAD;
    }
    struct jobq_exchange end = { .changes = &change, .change_count = 1 };
    run(me, &end);
    me->made[0] += change.outcome == JOBQ_OUTCOME_COMPLETE;
    me->made[1] += change.outcome == JOBQ_OUTCOME_FAIL;
}

static void *work(void *user)
{
    struct one *me = user;
    pthread_barrier_wait(&all_here);
    for (int i = 0; i < JOBS_EACH; i++)
        put_claim_complete(me, 1000 * me->number + i);
    return NULL;
}

static struct jobq_queue_stats queue_stats(struct jobq_arena *arena)
{
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_stats stats = { .size = sizeof stats };
    const struct jobq_bytes all = { 0 };
    ck_assert_msg(jobq_postgres()->stats(s, &all, &stats, arena, &last) == JOBQ_OK, "stats: %s", last.text);
    ck_assert_uint_eq(stats.queue_count, 1);
    struct jobq_queue_stats q = stats.queues[0];
    store_close(s);
    return q;
}

static void same_figures(const struct jobq_queue_stats *a, const struct jobq_queue_stats *b)
{
    ck_assert_mem_eq(&a->waited, &b->waited, sizeof a->waited);
    ck_assert_mem_eq(&a->ran, &b->ran, sizeof a->ran);
    ck_assert_uint_eq(a->last_quarter.completed, b->last_quarter.completed);
    ck_assert_uint_eq(a->last_quarter.failed, b->last_quarter.failed);
    ck_assert_int_eq(a->last_finished_at_ms, b->last_finished_at_ms);
}

/* While they work others fold; what is told does not depend on what was folded. */
START_TEST(figures_are_exact)
{
    struct one ones[CROWD];
    struct jobq_arena *arena = jobq_arena_create();
    uint64_t completed = 0, failed = 0;
    crowd(ones, work);
    for (int i = 0; i < CROWD; i++) {
        completed += (uint64_t)ones[i].made[0];
        failed += (uint64_t)ones[i].made[1];
    }
    ck_assert_int_gt(sql_value("SELECT count(*) FROM @.figure"), 0);
    ck_assert_int_gt(sql_value("SELECT count(*) FROM @.tally"), 0);
    struct jobq_queue_stats before = queue_stats(arena);
    ck_assert_uint_eq(before.ran.count, completed + failed);
    ck_assert_uint_eq(before.waited.count, completed + failed);
    ck_assert_uint_eq(before.last_quarter.completed, completed);
    ck_assert_uint_eq(before.last_quarter.failed, failed);
    sql("SET search_path = pg_catalog; SELECT @.fold(); SELECT @.fold()");
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.tally"), 0);
    struct jobq_queue_stats after = queue_stats(arena);
    same_figures(&before, &after);
    jobq_arena_destroy(arena);
}
END_TEST

/* The server's way of finding a bucket is the library's. */
START_TEST(buckets_are_the_librarys)
{
    store_close(store_open(uri_with("")));
    for (int i = 0; i < JOBQ_DURATION_BUCKETS - 1; i++) {
        int64_t bound = jobq_duration_bound(i);
        ck_assert_int_eq(sql_value("SELECT @.bucket(%lld)", (long long)bound), jobq_duration_bucket(bound));
        ck_assert_int_eq(sql_value("SELECT @.bucket(%lld)", (long long)bound - 1), jobq_duration_bucket(bound - 1));
    }
    ck_assert_int_eq(sql_value("SELECT @.bucket(9223372036854775807)"), JOBQ_DURATION_BUCKETS - 1);
}
END_TEST

/* Slots that no window reaches do not pile up. */
START_TEST(old_slots_go)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows;
    const struct jobq_settings hour = { .size = sizeof hour, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = 3600000 };
    for (uint32_t i = 1; i <= 3; i++) {
        ck_assert_int_eq(put_job(s, i), JOBQ_OK);
        ck_assert_uint_eq(claim_jobs(s, 1, &rows), 1);
        ck_assert_int_eq(ack_job(s, &rows[0]), JOBQ_OK);
        sql("SET search_path = pg_catalog; SELECT @.fold()");
        ck_assert_int_eq(jobq_postgres()->configure(s, &hour, &last), JOBQ_OK);
    }
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.figure WHERE what = 3"), 1);
    ck_assert_int_eq(sql_value("SELECT sum(rows) FROM @.figure WHERE what = 2"), 3);
    store_close(s);
}
END_TEST

KIT_MAIN("postgres together", a_tick_fires_once, a_version_is_given_once, figures_are_exact, buckets_are_the_librarys,
         old_slots_go)
