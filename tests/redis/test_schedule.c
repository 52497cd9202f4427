/* SPDX-License-Identifier: MIT */
/* Schedules between connections, and on a server that refuses writes. */
#include "kit.h"

#include <pthread.h>

#define HANDLES 8
#define TIMES 60

static int configure(struct kit *k, const struct jobq_settings *settings)
{
    k->err = (struct jobq_error){ 0 };
    return jobq_redis()->configure(k->store, settings, &k->err);
}

/* Times 1, 2, 3 ... are long past, so each is due as soon as the one before it fired. */
static int define(struct kit *k, const char *bytes)
{
    const struct jobq_settings s = {
        .size = sizeof s, .what = JOBQ_CONFIGURE_SCHEDULE, .set = JOBQ_SETTING_SCHEDULE | JOBQ_SETTING_NEXT,
        .name = { "s", 1 }, .schedule = { bytes, bytes ? strlen(bytes) : 0 }, .version = JOBQ_ANY_VERSION,
        .next_ms = 1,
    };
    return configure(k, &s);
}

static struct jobq_schedule_row get(struct kit *k)
{
    struct jobq_schedule_query query = { .size = sizeof query, .name = { "s", 1 }, .limit = 1 };
    ck_assert_int_eq(jobq_redis()->schedules(k->store, &query, k->arena, &k->err), JOBQ_OK);
    ck_assert_uint_eq(query.row_count, 1);
    return query.rows[0];
}

static int fire(struct jobq_store *store, uint8_t client, uint64_t number, int64_t nominal, int *verdict)
{
    struct jobq_arena *arena = jobq_arena_create();
    const struct jobq_put_tick tick = { .schedule = { "s", 1 }, .version = 1, .nominal_ms = nominal,
                                        .next_ms = nominal + 1 };
    struct jobq_put put = { .id = kit_id((uint32_t)client << 16 | (uint32_t)nominal), .queue = { "q", 1 },
                            .kind = { "k", 1 }, .only_if = -1, .tick = &tick };
    struct jobq_exchange x = { .size = sizeof x, .client = { 's', client }, .number = number, .puts = &put,
                               .put_count = 1 };
    struct jobq_error err;
    int unit = jobq_redis()->exchange(store, &x, arena, &err);
    *verdict = unit == JOBQ_OK ? put.verdict : x.failure;
    jobq_arena_destroy(arena);
    return unit;
}

/* ---- S12: each time fires once ------------------------------------------------------------------------------------ */

struct racer {
    struct jobq_store *store;
    uint8_t client;
    int fired, late, other;
};

static void *race(void *user)
{
    struct racer *r = user;
    uint64_t number = 0;
    for (int64_t nominal = 1; nominal <= TIMES; nominal++) {
        int verdict, unit = fire(r->store, r->client, ++number, nominal, &verdict);
        r->fired += unit == JOBQ_OK && verdict == JOBQ_OK;
        r->late += unit == JOBQ_OK && verdict == JOBQ_ALREADY;
        r->other += unit != JOBQ_OK;
    }
    return NULL;
}

START_TEST(several_connections_fire_each_time_once)
{
    struct kit k;
    struct racer racers[HANDLES] = { 0 };
    pthread_t threads[HANDLES];
    int fired = 0, late = 0;
    kit_begin(&k, NULL);
    ck_assert_int_eq(define(&k, "x"), JOBQ_OK);
    for (int i = 0; i < HANDLES; i++) {
        racers[i].client = (uint8_t)(i + 1);
        ck_assert_int_eq(kit_open(&k, k.uri, 0, &racers[i].store), JOBQ_OK);
    }
    for (int i = 0; i < HANDLES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    for (int i = 0; i < HANDLES; i++) {
        pthread_join(threads[i], NULL);
        jobq_redis()->close(racers[i].store);
        ck_assert_int_eq(racers[i].other, 0);
        fired += racers[i].fired;
        late += racers[i].late;
    }
    ck_assert_int_eq(fired, TIMES);
    ck_assert_int_eq(late, (HANDLES - 1) * TIMES);
    ck_assert_uint_eq(kit_count(&k, k.store), TIMES);
    ck_assert_int_eq(get(&k).fired_ms, TIMES);
    ck_assert_int_eq(get(&k).next_ms, TIMES + 1);
    kit_end(&k);
}
END_TEST

/* ---- S16: a refusal leaves nothing half done ------------------------------------------------------------------------ */

static void unchanged(struct kit *k)
{
    struct jobq_schedule_row s = get(k);
    ck_assert_int_eq(s.version, 1);
    ck_assert_int_eq(s.fired_ms, 0);
    ck_assert_int_eq(s.next_ms, 1);
    ck_assert_uint_eq(s.bytes.size, 1);
    ck_assert_uint_eq(kit_count(k, k->store), 0);
}

START_TEST(a_full_server)
{
    struct kit k;
    int verdict;
    kit_begin(&k, NULL);
    ck_assert_int_eq(define(&k, "x"), JOBQ_OK);
    redis_server_do(&k.server, "CONFIG SET maxmemory 1");
    ck_assert_int_eq(fire(k.store, 1, 1, 1, &verdict), JOBQ_FAILED);
    ck_assert_int_eq(verdict, JOBQ_FAILURE_FULL);
    ck_assert_int_eq(define(&k, "other"), JOBQ_FAILED);
    unchanged(&k);
    redis_server_do(&k.server, "CONFIG SET maxmemory 0");
    ck_assert_int_eq(fire(k.store, 1, 2, 1, &verdict), JOBQ_OK);
    ck_assert_int_eq(verdict, JOBQ_OK);
    redis_server_do(&k.server, "CONFIG SET maxmemory 1");
    ck_assert_int_eq(define(&k, NULL), JOBQ_OK); /* what makes room passes */
    redis_server_do(&k.server, "CONFIG SET maxmemory 0");
    ck_assert_int_eq(define(&k, NULL), JOBQ_NOT_FOUND);
    kit_end(&k);
}
END_TEST

START_TEST(a_replica)
{
    struct kit k;
    int verdict;
    kit_begin(&k, NULL);
    ck_assert_int_eq(define(&k, "x"), JOBQ_OK);
    redis_server_do(&k.server, "REPLICAOF 127.0.0.1 1");
    ck_assert_int_ne(fire(k.store, 1, 1, 1, &verdict), JOBQ_OK);
    ck_assert_int_ne(define(&k, "other"), JOBQ_OK);
    ck_assert_int_ne(define(&k, NULL), JOBQ_OK);
    unchanged(&k);
    redis_server_do(&k.server, "REPLICAOF NO ONE");
    ck_assert_int_eq(fire(k.store, 1, 2, 1, &verdict), JOBQ_OK);
    ck_assert_int_eq(verdict, JOBQ_OK);
    kit_end(&k);
}
END_TEST

/* A thousand names come in more than one call of the script. */
START_TEST(many_of_them)
{
    struct kit k;
    char name[16];
    kit_begin(&k, NULL);
    for (int i = 0; i < 1100; i++) {
        snprintf(name, sizeof name, "s%05d", 99999 - i);
        const struct jobq_settings s = {
            .size = sizeof s, .what = JOBQ_CONFIGURE_SCHEDULE, .set = JOBQ_SETTING_SCHEDULE,
            .name = { name, strlen(name) }, .schedule = { "x", 1 }, .version = 0,
        };
        ck_assert_int_eq(configure(&k, &s), JOBQ_OK);
    }
    struct jobq_schedule_query query = { .size = sizeof query, .limit = 5000 };
    ck_assert_int_eq(jobq_redis()->schedules(k.store, &query, k.arena, &k.err), JOBQ_OK);
    ck_assert_uint_eq(query.row_count, 1100);
    for (size_t i = 1; i < query.row_count; i++)
        ck_assert_int_lt(memcmp(query.rows[i - 1].name.data, query.rows[i].name.data, 6), 0);
    kit_end(&k);
}
END_TEST

KIT_MAIN("redis-schedule", 60, several_connections_fire_each_time_once, a_full_server, a_replica,
         many_of_them)
