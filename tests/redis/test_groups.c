/* SPDX-License-Identifier: MIT */
/* Limits and groups on the server: never exceeded however many claim at once, within maxmemory, bounded, and gone again when
 * nothing needs them. */
#include "kit.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- shorthands ------------------------------------------------------------------------------------------------ */

static const struct jobq_bytes queue = { "q", 1 };

static int exchange(struct kit *k, struct jobq_exchange x)
{
    x.size = sizeof x;
    x.client[0] = 'r';
    x.number = ++k->number;
    int unit = jobq_redis()->exchange(k->store, &x, k->arena, &k->err);
    ck_assert_msg(unit == JOBQ_OK, "%s", k->err.text);
    return unit;
}

static struct jobq_bytes bytes(const char *text)
{
    return (struct jobq_bytes){ text, strlen(text) };
}

static struct jobq_put put_of(uint32_t id, const char *group)
{
    return (struct jobq_put){ .id = kit_id(id), .queue = queue, .kind = { "k", 1 }, .only_if = -1,
                              .payload = { "p", 1 }, .group = group ? bytes(group) : (struct jobq_bytes){ 0 } };
}

static void put(struct kit *k, uint32_t id, const char *group)
{
    struct jobq_put p = put_of(id, group);
    exchange(k, (struct jobq_exchange){ .puts = &p, .put_count = 1 });
    ck_assert_int_eq(p.verdict, JOBQ_OK);
}

static struct jobq_want want(struct kit *k, size_t limit)
{
    struct jobq_want w = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = limit, .lease_ms = 30000,
                           .worker = { "w", 1 } };
    memcpy(w.mint, &k->number, sizeof w.mint);
    exchange(k, (struct jobq_exchange){ .want = &w });
    return w;
}

static void set_limit(struct kit *k, struct jobq_settings s)
{
    s.size = sizeof s;
    ck_assert_int_eq(jobq_redis()->configure(k->store, &s, &k->err), JOBQ_OK);
}

static void limit_group(struct kit *k, const char *group, uint32_t set, int64_t value)
{
    set_limit(k, (struct jobq_settings){ .what = JOBQ_CONFIGURE_GROUP, .group = bytes(group), .set = set,
                                         .concurrency = value, .rate = value, .rate_period_ms = 1000, .quota = value,
                                         .quota_period_ms = 1000 });
}

static void end_rows(struct kit *k, const struct jobq_row *rows, size_t count, int state)
{
    for (size_t i = 0; i < count; i++) {
        struct jobq_change c = { .id = rows[i].id, .by = JOBQ_BY_OPERATOR, .allowed = ~0u, .edits = JOBQ_ANY_EDITS,
                                 .state = state };
        exchange(k, (struct jobq_exchange){ .changes = &c, .change_count = 1 });
        ck_assert_int_eq(c.verdict, JOBQ_OK);
    }
}

/* Keys of the namespace by this pattern. */
static size_t keys(struct kit *k, const char *pattern)
{
    redisReply *reply = redis_server_ask(&k->server, "KEYS {jobq}:%s", pattern);
    ck_assert_int_eq(reply->type, REDIS_REPLY_ARRAY);
    size_t count = reply->elements;
    freeReplyObject(reply);
    return count;
}

/* The groups of the queue that have ready rows. */
static size_t shelves(struct kit *k)
{
    redisReply *reply = redis_server_ask(&k->server, "HLEN {jobq}:shelves:q");
    ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
    size_t count = (size_t)reply->integer;
    freeReplyObject(reply);
    return count;
}

/* ---- 64 handles at once: S9 -------------------------------------------------------------------------------------- */

enum { THREADS = 16, HANDLES = 4, JOBS = 480, GROUPS = 3, OF_QUEUE = 4, OF_GROUP = 2 };

struct crowd {
    const char *uri;
    _Atomic int running, of_group[GROUPS], done, too_many, fault;
};

struct member {
    struct crowd *crowd;
    int number;
};

static int group_of(const struct jobq_row *row)
{
    return *(const char *)row->group.data - 'a';
}

/* What is counted as running here is running there: the one rises later and falls earlier than the other. */
static void count_start(struct crowd *c, const struct jobq_row *row)
{
    if (++c->running > OF_QUEUE || ++c->of_group[group_of(row)] > OF_GROUP)
        c->too_many++;
}

static void count_end(struct crowd *c, const struct jobq_row *row)
{
    c->of_group[group_of(row)]--;
    c->running--;
}

static int claim_and_complete(struct kit *k, struct crowd *crowd)
{
    struct jobq_want w = want(k, 3);
    for (size_t i = 0; i < w.row_count; i++)
        count_start(crowd, &w.rows[i]);
    for (size_t i = 0; i < w.row_count; i++) {
        int verdict;
        count_end(crowd, &w.rows[i]);
        if (kit_complete(k, &w.rows[i], &verdict) != JOBQ_OK || verdict != JOBQ_OK)
            return -1;
        crowd->done++;
    }
    return 0;
}

static void *claim_all(void *user)
{
    struct member *m = user;
    struct kit kits[HANDLES];
    memset(kits, 0, sizeof kits);
    for (int i = 0; i < HANDLES; i++) {
        kits[i].number = (uint64_t)(m->number * HANDLES + i) << 32;
        if (kit_open(&kits[i], m->crowd->uri, 0, &kits[i].store) != JOBQ_OK)
            m->crowd->fault++;
    }
    while (m->crowd->done < JOBS && !m->crowd->fault)
        for (int i = 0; i < HANDLES; i++) {
            kits[i].arena = jobq_arena_create();
            m->crowd->fault += claim_and_complete(&kits[i], m->crowd) != 0;
            jobq_arena_destroy(kits[i].arena);
        }
    for (int i = 0; i < HANDLES; i++)
        jobq_redis()->close(kits[i].store);
    return NULL;
}

START_TEST(never_exceeded_by_one)
{
    struct kit k;
    struct crowd crowd = { 0 };
    struct member members[THREADS];
    pthread_t threads[THREADS];
    kit_begin(&k, NULL);
    crowd.uri = k.uri;
    set_limit(&k, (struct jobq_settings){ .what = JOBQ_CONFIGURE_QUEUE, .name = queue, .concurrency = OF_QUEUE,
                                          .group_concurrency = OF_GROUP,
                                          .set = JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_GROUP_CONCURRENCY });
    for (uint32_t i = 0; i < JOBS; i++)
        put(&k, i, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c");
    for (int i = 0; i < THREADS; i++) {
        members[i] = (struct member){ &crowd, i };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, claim_all, &members[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(crowd.fault, 0);
    ck_assert_int_eq(crowd.too_many, 0);
    ck_assert_int_eq(crowd.done, JOBS);
    ck_assert_uint_eq(keys(&k, "slots"), 0);
    kit_end(&k);
}
END_TEST

/* ---- nothing stays --------------------------------------------------------------------------------------------------- */

/* A store that had groups and limits holds nothing of them when the rows are gone and the limits taken away. */
START_TEST(nothing_stays)
{
    struct kit k;
    kit_begin(&k, NULL);
    limit_group(&k, "", JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_RATE | JOBQ_SETTING_QUOTA, 100);
    for (uint32_t i = 0; i < 20; i++)
        put(&k, i, i % 2 ? "a" : "b");
    ck_assert_uint_eq(keys(&k, "circle:*"), 1);
    ck_assert_uint_eq(shelves(&k), 2);
    struct jobq_want w = want(&k, 15);
    ck_assert_uint_eq(w.row_count, 15);
    ck_assert_uint_eq(keys(&k, "slots"), 1);
    end_rows(&k, w.rows, 5, JOBQ_ROW_WAITING);
    end_rows(&k, w.rows, 5, JOBQ_ROW_DEAD);
    end_rows(&k, &w.rows[5], 10, JOBQ_ROW_GONE);
    w = want(&k, 15);
    ck_assert_uint_eq(w.row_count, 5);
    end_rows(&k, w.rows, 5, JOBQ_ROW_CANCELLED);
    ck_assert_uint_eq(keys(&k, "circle:*"), 0);
    ck_assert_uint_eq(shelves(&k), 0);
    ck_assert_uint_eq(keys(&k, "rank:*"), 0);
    ck_assert_uint_eq(keys(&k, "slots"), 0);
    limit_group(&k, "", JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_RATE | JOBQ_SETTING_QUOTA, JOBQ_LIMIT_UNSET);
    ck_assert_uint_eq(keys(&k, "limit*"), 0);
    ck_assert_uint_eq(keys(&k, "starts:*"), 2); /* what counted starts and puts goes by itself */
    ck_assert_uint_eq(keys(&k, "puts:*"), 2);
    redisReply *reply = redis_server_ask(&k.server, "PTTL {jobq}:starts:ga");
    ck_assert(reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 && reply->integer <= 1200);
    freeReplyObject(reply);
    kit_end(&k);
}
END_TEST

/* Two rows in turn, one of which has something special about it, past the room of a want and around the circle: none is
 * passed by, and nothing is left of the groups. */
START_TEST(special_rows_have_their_turn)
{
    static const uint32_t turns[] = { 1, 2, 11, 12, 21, 22, 3, 4, 13, 15, 23, 24, 5, 16, 17, 14 };
    static const size_t limits[] = { 100, 1, 2, 3, 5, 7 };
    const struct jobq_put_key key = { .scope = { 's' }, .conflict = JOBQ_CONFLICT_RETURN };
    for (size_t way = 0; way < sizeof limits / sizeof limits[0]; way++) {
        struct kit k;
        size_t at = 0;
        kit_begin(&k, NULL);
        for (uint32_t i = 1; i <= 24; i++) {
            struct jobq_put p = put_of(i, i <= 5 ? "a" : i <= 17 ? "b" : "c");
            if (i == 3 || i == 11)
                p.timeout_ms = 5000;
            else if (i == 14)
                p.rank_add_ms = 100000;
            else if (i == 24)
                p.unique = &key;
            if (i <= 5 || (i > 10 && i <= 17) || i > 20)
                exchange(&k, (struct jobq_exchange){ .puts = &p, .put_count = 1 });
        }
        char cursor[256];
        size_t cursor_size = 0;
        while (at < sizeof turns / sizeof turns[0]) {
            struct jobq_want w = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = limits[way],
                                   .lease_ms = 30000, .worker = { "w", 1 }, .share = 2,
                                   .cursor = { cursor_size ? cursor : NULL, cursor_size } };
            memcpy(w.mint, &k.number, sizeof w.mint);
            exchange(&k, (struct jobq_exchange){ .want = &w });
            ck_assert_uint_gt(w.row_count, 0);
            for (size_t i = 0; i < w.row_count; i++, at++) {
                const struct jobq_id wanted = kit_id(turns[at]);
                ck_assert_mem_eq(&w.rows[i].id, &wanted, sizeof wanted);
                ck_assert_uint_eq(w.rows[i].group.size, 1);
            }
            ck_assert_uint_le(w.next_cursor.size, sizeof cursor);
            cursor_size = w.next_cursor.size;
            memcpy(cursor, w.next_cursor.data, cursor_size);
        }
        ck_assert_uint_eq(want(&k, 5).row_count, 0);
        ck_assert_uint_eq(keys(&k, "circle:*") + shelves(&k) + keys(&k, "rank:*"), 0);
        kit_end(&k);
    }
}
END_TEST

/* What has no group stands in lists as it did, in a queue that has groups too. */
START_TEST(without_a_group_in_a_list)
{
    struct kit k;
    kit_begin(&k, NULL);
    put(&k, 1, "a");
    for (uint32_t i = 2; i < 10; i++)
        put(&k, i, NULL);
    redisReply *reply = redis_server_ask(&k.server, "LLEN {jobq}:list:1:q:k");
    ck_assert_int_eq(reply->integer, 8);
    freeReplyObject(reply);
    ck_assert_uint_eq(keys(&k, "rank:*"), 1);
    ck_assert_uint_eq(keys(&k, "hot"), 0);
    ck_assert_uint_eq(want(&k, 20).row_count, 9);
    kit_end(&k);
}
END_TEST

/* ---- full, and large ---------------------------------------------------------------------------------------------------- */

/* S16: at maxmemory a grouped put is refused whole; what is there is claimed, counted and handed back. */
START_TEST(at_maxmemory)
{
    struct kit k;
    kit_begin(&k, NULL);
    limit_group(&k, "a", JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_RATE, 3);
    for (uint32_t i = 0; i < 9; i++)
        put(&k, i, "a");
    redis_server_do(&k.server, "CONFIG SET maxmemory 1");
    struct jobq_put p = put_of(100, "new");
    struct jobq_exchange x = { .size = sizeof x, .client = { 'r' }, .number = ++k.number, .puts = &p, .put_count = 1 };
    ck_assert_int_eq(jobq_redis()->exchange(k.store, &x, k.arena, &k.err), JOBQ_FAILED);
    ck_assert_int_eq(x.failure, JOBQ_FAILURE_FULL);
    struct jobq_want w = want(&k, 9);
    ck_assert_uint_eq(w.row_count, 3);
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_GROUP, .group = bytes("b"), .concurrency = 1,
                               .set = JOBQ_SETTING_CONCURRENCY };
    ck_assert_int_eq(jobq_redis()->configure(k.store, &s, &k.err), JOBQ_FAILED);
    end_rows(&k, w.rows, 3, JOBQ_ROW_COMPLETED);
    redis_server_do(&k.server, "CONFIG SET maxmemory 0");
    struct jobq_limit_query query = { .size = sizeof query, .of = JOBQ_LIMIT_GROUP, .limit = 9 };
    ck_assert_int_eq(jobq_redis()->limits(k.store, &query, k.arena, &k.err), JOBQ_OK);
    ck_assert_uint_eq(query.limit_count, 1); /* of a alone */
    ck_assert_int_eq(query.limits[0].running, 0);
    ck_assert_int_eq(query.limits[0].rate_used, 3);
    ck_assert_uint_eq(keys(&k, "circle:*"), 1);
    kit_end(&k);
}
END_TEST

static long long commands(struct kit *k)
{
    redisReply *reply = redis_server_ask(&k->server, "INFO commandstats");
    long long sum = 0;
    for (const char *at = reply->str; (at = strstr(at, ":calls=")) != NULL; at++)
        sum += atoll(at + 7);
    freeReplyObject(reply);
    return sum;
}

/* A claim asks the server no more often with 3,000 groups than with 30, also when none of them may start. */
static long long cost_of_a_claim(struct kit *k, size_t expected)
{
    struct jobq_want w = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 5, .lease_ms = 30000 };
    memcpy(w.mint, &k->number, sizeof w.mint);
    redis_server_do(&k->server, "CONFIG RESETSTAT");
    exchange(k, (struct jobq_exchange){ .want = &w });
    ck_assert_uint_eq(w.row_count, expected);
    ck_assert_int_eq(w.more, expected == 0);
    return commands(k);
}

static void put_groups(struct kit *k, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char name[16];
        snprintf(name, sizeof name, "g%05u", i);
        put(k, i, name);
    }
}

START_TEST(many_groups)
{
    struct kit k;
    kit_begin(&k, NULL);
    put_groups(&k, 0, 100);
    long long few = cost_of_a_claim(&k, 5);
    put_groups(&k, 100, 3000);
    ck_assert_int_le(cost_of_a_claim(&k, 5), few);
    limit_group(&k, "", JOBQ_SETTING_CONCURRENCY, 0);
    ck_assert_int_le(cost_of_a_claim(&k, 0), 64 * 2 + few);
    kit_end(&k);
}
END_TEST

static void put_kind(struct kit *k, uint32_t id, const char *group, const char *kind)
{
    struct jobq_put p = put_of(id, group);
    p.kind = bytes(kind);
    exchange(k, (struct jobq_exchange){ .puts = &p, .put_count = 1 });
    ck_assert_int_eq(p.verdict, JOBQ_OK);
}

/* As it was up to version 5: of each group a set of its kinds. */
static void make_old(struct kit *k)
{
    static const char script[] =
        "local call, from = redis.call, '{jobq}:shelves:q' "
        "for _, group in ipairs(call('HKEYS', from)) do "
        "local s, at = call('HGET', from, group), 1 "
        "while at <= #s do "
        "call('SADD', '{jobq}:kinds;1;' .. #group .. ':q' .. group, s:sub(at + 1, at + s:byte(at))) "
        "at = at + 1 + s:byte(at) end end "
        "call('DEL', from) return call('HSET', '{jobq}:meta', 'version', '5')";
    redisReply *reply = redis_server_ask(&k->server, "EVAL %s 0", script);
    ck_assert_msg(reply->type == REDIS_REPLY_INTEGER, "%s", reply->str);
    freeReplyObject(reply);
}

/* What its groups had ready is found, and a group of which one kind is left stays. */
START_TEST(a_store_of_version_5_is_brought_up)
{
    static const char *const kinds[] = { "k", "other" };
    static const struct jobq_bytes only_k = { "k", 1 };
    struct kit k;
    kit_begin(&k, NULL);
    for (uint32_t i = 0; i < 8; i++)
        put_kind(&k, i, i < 4 ? "a" : "b", kinds[i % 2]);
    make_old(&k);
    ck_assert_uint_eq(keys(&k, "kinds;*"), 2);
    jobq_redis()->close(k.store);
    ck_assert_int_eq(kit_open(&k, k.uri, 0, &k.store), JOBQ_OK);
    ck_assert_uint_eq(keys(&k, "kinds;*"), 0);
    ck_assert_uint_eq(shelves(&k), 2);
    struct jobq_want w = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .kinds = &only_k, .kind_count = 1,
                           .limit = 10, .lease_ms = 30000, .worker = { "w", 1 } };
    exchange(&k, (struct jobq_exchange){ .want = &w });
    ck_assert_uint_eq(w.row_count, 4);
    ck_assert_uint_eq(shelves(&k), 2);
    ck_assert_uint_eq(want(&k, 10).row_count, 4);
    ck_assert_uint_eq(keys(&k, "circle:*") + shelves(&k) + keys(&k, "rank:*"), 0);
    kit_end(&k);
}
END_TEST

KIT_MAIN("redis-groups", 120, never_exceeded_by_one, nothing_stays, special_rows_have_their_turn,
         without_a_group_in_a_list, at_maxmemory, many_groups, a_store_of_version_5_is_brought_up)
