/* SPDX-License-Identifier: MIT */
/* Several connections at the same moment: a tick fires once. */
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

KIT_MAIN("postgres together", a_tick_fires_once, a_version_is_given_once)
