/* SPDX-License-Identifier: MIT */
/* Events: cursors 1, 2, 3 ... whoever writes, over a restart of the server, and where it refuses. */
#include "kit.h"

#include <pthread.h>
#include <unistd.h>

#define HANDLES 8
#define ROUNDS 40

static int keep(struct kit *k, int64_t count)
{
    const struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_EVENTS, .events = count };
    k->err = (struct jobq_error){ 0 };
    return jobq_redis()->configure(k->store, &s, &k->err);
}

static struct jobq_event_query events(struct jobq_store *store, struct jobq_arena *arena, int64_t after, size_t limit)
{
    struct jobq_event_query query = { .size = sizeof query, .after = after, .limit = limit };
    struct jobq_error err = { 0 };
    int status = jobq_redis()->events(store, &query, arena, &err);
    ck_assert_msg(status == JOBQ_OK, "%s", err.text);
    return query;
}

static void without_a_gap(const struct jobq_event_query *query, int64_t first)
{
    for (size_t i = 0; i < query->row_count; i++)
        ck_assert_int_eq(query->rows[i].cursor, first + (int64_t)i);
}

/* ---- several at once ------------------------------------------------------------------------------------------------ */

struct client {
    struct jobq_store *store;
    uint8_t number;
    int failed;
};

static int go(struct client *c, struct jobq_exchange *x, uint64_t *number, struct jobq_arena *arena)
{
    struct jobq_error err;
    x->size = sizeof *x;
    x->client[0] = 'e';
    x->client[1] = c->number;
    x->number = ++*number;
    int unit = jobq_redis()->exchange(c->store, x, arena, &err);
    c->failed += unit != JOBQ_OK;
    return unit;
}

/* A job of its own, claimed and completed: three events. */
static void *work(void *user)
{
    struct client *c = user;
    uint64_t number = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct jobq_arena *arena = jobq_arena_create();
        char name[2] = { 'q', (char)('a' + c->number) };
        const struct jobq_bytes queue = { name, 2 };
        struct jobq_put put = { .id = kit_id((uint32_t)c->number << 16 | i), .queue = queue, .kind = { "k", 1 },
                                .only_if = -1 };
        struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 1,
                                  .lease_ms = 30000, .worker = { "w", 1 }, .mint = { c->number, (uint8_t)i } };
        struct jobq_exchange x = { .puts = &put, .put_count = 1, .want = &want };
        if (go(c, &x, &number, arena) == JOBQ_OK && want.row_count == 1) {
            struct jobq_change change = { .id = want.rows[0].id, .by = JOBQ_BY_TOKEN, .token = want.token,
                                          .edits = JOBQ_ANY_EDITS, .outcome = JOBQ_OUTCOME_COMPLETE,
                                          .state = JOBQ_ROW_COMPLETED };
            struct jobq_exchange end = { .changes = &change, .change_count = 1 };
            c->failed += go(c, &end, &number, arena) != JOBQ_OK || change.verdict != JOBQ_OK;
        } else {
            c->failed++;
        }
        jobq_arena_destroy(arena);
    }
    return NULL;
}

/* Follow the stream while it is written; each page goes on where the one before ended. */
static void follow(struct kit *k, int64_t until)
{
    int seen[HANDLES][ROUNDS] = { 0 };
    for (int64_t cursor = 0; cursor < until;) {
        struct jobq_arena *arena = jobq_arena_create();
        struct jobq_event_query query = events(k->store, arena, cursor, 7);
        without_a_gap(&query, cursor + 1);
        for (size_t i = 0; i < query.row_count; i++) {
            const uint8_t *id = query.rows[i].id.bytes;
            int *state = &seen[id[13] - 1][id[15]];
            static const int order[] = { JOBQ_ROW_WAITING, JOBQ_ROW_RUNNING, JOBQ_ROW_COMPLETED };
            ck_assert_int_lt(*state, 3);
            ck_assert_int_eq(query.rows[i].state, order[(*state)++]);
        }
        cursor += (int64_t)query.row_count;
        if (!query.row_count)
            usleep(1000);
        jobq_arena_destroy(arena);
    }
}

START_TEST(many_write_and_one_reads)
{
    struct kit k;
    struct client clients[HANDLES] = { 0 };
    pthread_t threads[HANDLES];
    kit_begin(&k, NULL);
    ck_assert_int_eq(keep(&k, 100000), JOBQ_OK);
    for (int i = 0; i < HANDLES; i++) {
        clients[i].number = (uint8_t)(i + 1);
        ck_assert_int_eq(kit_open(&k, k.uri, 0, &clients[i].store), JOBQ_OK);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &clients[i]), 0);
    }
    follow(&k, 3 * HANDLES * ROUNDS);
    for (int i = 0; i < HANDLES; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(clients[i].failed, 0);
        jobq_redis()->close(clients[i].store);
    }
    struct jobq_event_query query = events(k.store, k.arena, 0, 10000);
    ck_assert_int_eq(query.newest, 3 * HANDLES * ROUNDS);
    ck_assert_uint_eq(query.row_count, 3 * HANDLES * ROUNDS);
    kit_end(&k);
}
END_TEST

/* ---- over a restart --------------------------------------------------------------------------------------------------- */

static void restart(struct kit *k)
{
    redis_server_do(&k->server, "SAVE");
    redis_server_restart(&k->server, NULL);
}

START_TEST(over_a_restart)
{
    struct kit k;
    kit_begin(&k, NULL);
    ck_assert_int_eq(keep(&k, 3), JOBQ_OK);
    for (uint32_t i = 1; i <= 5; i++)
        kit_put(&k, i);
    restart(&k);
    kit_put(&k, 6);
    struct jobq_event_query query = events(k.store, k.arena, 0, 10);
    ck_assert_int_eq(query.newest, 6);
    ck_assert_int_eq(query.oldest, 4);
    ck_assert_uint_eq(query.row_count, 3);
    without_a_gap(&query, 4);
    ck_assert_int_eq(keep(&k, 0), JOBQ_OK);
    restart(&k);
    kit_put(&k, 7); /* uses no cursor up */
    ck_assert_int_eq(keep(&k, 3), JOBQ_OK);
    kit_put(&k, 8);
    query = events(k.store, k.arena, 0, 10);
    ck_assert_uint_eq(query.row_count, 1);
    without_a_gap(&query, 7);
    kit_end(&k);
}
END_TEST

/* ---- a server that refuses -------------------------------------------------------------------------------------------- */

/* At maxmemory a put tells nothing; what hands back passes, and is told. */
START_TEST(a_full_server)
{
    struct kit k;
    struct jobq_row rows[4];
    int verdict;
    kit_begin(&k, NULL);
    redis_server_do(&k.server, "CONFIG SET maxmemory 1");
    ck_assert_int_eq(keep(&k, 10), JOBQ_FAILED);
    redis_server_do(&k.server, "CONFIG SET maxmemory 0");
    kit_put(&k, 1);
    ck_assert_int_eq(events(k.store, k.arena, 0, 10).newest, 0);
    ck_assert_int_eq(keep(&k, 10), JOBQ_OK);
    kit_put(&k, 2);
    redis_server_do(&k.server, "CONFIG SET maxmemory 1");
    ck_assert_int_eq(kit_put_as(&k, k.store, 0, 3, 10, &verdict), JOBQ_FAILED);
    ck_assert_int_eq(events(k.store, k.arena, 0, 10).newest, 1);
    ck_assert_uint_eq(kit_claim(&k, rows), 2);
    ck_assert_int_eq(kit_complete(&k, &rows[0], &verdict), JOBQ_OK);
    struct jobq_event_query query = events(k.store, k.arena, 0, 10);
    ck_assert_uint_eq(query.row_count, 4);
    without_a_gap(&query, 1);
    ck_assert_int_eq(keep(&k, 0), JOBQ_OK); /* and so does what makes room */
    ck_assert_uint_eq(events(k.store, k.arena, 0, 10).row_count, 0);
    kit_end(&k);
}
END_TEST

/* More than one call of the script gives; the bound holds to the last one. */
START_TEST(long_pages)
{
    struct kit k;
    kit_begin(&k, NULL);
    ck_assert_int_eq(keep(&k, 2500), JOBQ_OK);
    static struct jobq_put puts[500];
    for (uint32_t n = 0; n < 6; n++) {
        for (uint32_t i = 0; i < 500; i++)
            puts[i] = (struct jobq_put){ .id = kit_id(n * 500 + i), .queue = { "q", 1 }, .kind = { "k", 1 },
                                         .only_if = -1 };
        struct jobq_exchange x = { .size = sizeof x, .client = { 'r' }, .number = ++k.number, .puts = puts,
                                   .put_count = 500 };
        ck_assert_int_eq(jobq_redis()->exchange(k.store, &x, k.arena, &k.err), JOBQ_OK);
    }
    struct jobq_event_query query = events(k.store, k.arena, 0, 100000);
    ck_assert_uint_eq(query.row_count, 2500);
    ck_assert_int_eq(query.oldest, 501);
    without_a_gap(&query, 501);
    query = events(k.store, k.arena, 700, 2100);
    ck_assert_uint_eq(query.row_count, 2100);
    without_a_gap(&query, 701);
    ck_assert_int_eq(keep(&k, 10), JOBQ_OK);
    query = events(k.store, k.arena, 0, 100000);
    ck_assert_uint_eq(query.row_count, 10);
    without_a_gap(&query, 2991);
    kit_end(&k);
}
END_TEST

/* ---- off: nothing is paid ------------------------------------------------------------------------------------------------ */

static long calls_of(struct kit *k, const char *command)
{
    redisReply *reply = redis_server_ask(&k->server, "INFO commandstats");
    char wanted[64];
    snprintf(wanted, sizeof wanted, "cmdstat_%s:calls=", command);
    const char *at = strstr(reply->str, wanted);
    long calls = at ? strtol(at + strlen(wanted), NULL, 10) : 0;
    freeReplyObject(reply);
    return calls;
}

START_TEST(off_it_writes_nothing)
{
    struct kit k;
    struct jobq_row rows[4];
    int verdict;
    kit_begin(&k, NULL);
    kit_put(&k, 1);
    ck_assert_uint_eq(kit_claim(&k, rows), 1);
    ck_assert_int_eq(kit_complete(&k, &rows[0], &verdict), JOBQ_OK);
    ck_assert_int_eq(calls_of(&k, "xadd") + calls_of(&k, "xtrim"), 0);
    ck_assert_int_eq(keep(&k, 10), JOBQ_OK);
    kit_put(&k, 2);
    ck_assert_int_eq(calls_of(&k, "xadd"), 1);
    kit_end(&k);
}
END_TEST

KIT_MAIN("redis-events", 60, many_write_and_one_reads, over_a_restart, a_full_server, long_pages,
         off_it_writes_nothing)
