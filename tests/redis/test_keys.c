/* SPDX-License-Identifier: MIT */
/* What the server holds of an idempotency key (backends/redis/lua/key.lua). Which keys hold is the conformance suite's
 * affair. */
#include "kit.h"

enum { SHORT = 16, WHOLE = 58 };

static struct kit kit;

static void run_ok(struct jobq_exchange *x)
{
    x->size = sizeof *x;
    x->client[0] = 'k';
    x->number = ++kit.number;
    int unit = jobq_redis()->exchange(kit.store, x, kit.arena, &kit.err);
    ck_assert_msg(unit == JOBQ_OK, "%s", kit.err.text);
}

/* Their scopes are the bytes of their numbers; their payloads have this digest. */
static struct jobq_put_key key_of(uint8_t scope, uint8_t digest, int32_t hold)
{
    return (struct jobq_put_key){ .scope = { scope }, .payload_digest = { digest }, .hold = hold, .window_ms = 60000 };
}

static struct jobq_put keyed(uint32_t id, const struct jobq_put_key *key)
{
    return (struct jobq_put){ .id = kit_id(id), .queue = { "q", 1 }, .kind = { "k", 1 }, .only_if = -1, .unique = key };
}

static int put(uint32_t id, const struct jobq_put_key *key, int *same)
{
    struct jobq_put p = keyed(id, key);
    struct jobq_exchange x = { .puts = &p, .put_count = 1 };
    run_ok(&x);
    if (same)
        *same = p.same_payload;
    return p.verdict;
}

static void end_row(uint32_t id, int state)
{
    struct jobq_change c = { .id = kit_id(id), .by = JOBQ_BY_OPERATOR, .allowed = ~0u, .edits = JOBQ_ANY_EDITS,
                             .state = state };
    struct jobq_exchange x = { .changes = &c, .change_count = 1 };
    run_ok(&x);
    ck_assert_int_eq(c.verdict, JOBQ_OK);
}

/* Answers a number about the string of this scope. */
static long long of_string(uint8_t scope, const char *body)
{
    char script[400];
    snprintf(script, sizeof script, "local k, s = '{jobq}:key', string.char(%d) .. ('\\0'):rep(31) %s", scope, body);
    redisReply *reply = redis_server_ask(&kit.server, "EVAL %s 0", script);
    ck_assert_msg(reply->type == REDIS_REPLY_INTEGER, "%s", reply->str);
    long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

static long long length_of(uint8_t scope)
{
    return of_string(scope, "return redis.call('HSTRLEN', k, s)");
}

/* A key of a job that has not ended names the job, which says the rest; one that outlives its job says all of it. */
START_TEST(a_key_is_short_as_long_as_its_job_is)
{
    struct jobq_put_key keys[] = { key_of(1, 7, JOBQ_HOLD_WINDOW), key_of(2, 7, JOBQ_HOLD_WINDOW),
                                   key_of(3, 7, JOBQ_HOLD_FOREVER) };
    struct jobq_put_key other = key_of(1, 8, JOBQ_HOLD_WINDOW);
    int same;
    kit_begin(&kit, NULL);
    struct jobq_put puts[] = { keyed(1, &keys[0]), keyed(2, &keys[1]) };
    struct jobq_exchange x = { .puts = puts, .put_count = 2 };
    run_ok(&x);
    ck_assert_int_eq(put(3, &keys[2], NULL), JOBQ_OK);
    for (uint8_t scope = 1; scope <= 3; scope++)
        ck_assert_int_eq(length_of(scope), SHORT);
    ck_assert_int_eq(put(4, &keys[0], &same), JOBQ_DUPLICATE);
    ck_assert_int_eq(same, 1);
    ck_assert_int_eq(put(4, &other, &same), JOBQ_DUPLICATE);
    ck_assert_int_eq(same, 0);
    end_row(1, JOBQ_ROW_COMPLETED);
    end_row(2, JOBQ_ROW_CANCELLED);
    end_row(3, JOBQ_ROW_GONE);
    ck_assert_int_eq(length_of(1), WHOLE);
    ck_assert_int_eq(length_of(2), 0);
    ck_assert_int_eq(length_of(3), WHOLE);
    for (uint8_t i = 0; i < 3; i += 2) {
        ck_assert_int_eq(put(5, &keys[i], &same), JOBQ_DUPLICATE);
        ck_assert_int_eq(same, 1);
    }
    kit_end(&kit);
}
END_TEST

/* Its keys say all of it, and are read as they are. */
START_TEST(a_store_of_version_4_is_brought_up)
{
    struct jobq_put_key key = key_of(1, 7, JOBQ_HOLD_LIVE);
    int same;
    kit_begin(&kit, NULL);
    ck_assert_int_eq(put(1, &key, NULL), JOBQ_OK);
    of_string(1, "local whole = redis.call('HGET', k, s) .. ('\\0'):rep(10) .. '\\7' .. ('\\0'):rep(31) "
                 "redis.call('HSET', k, s, whole) "
                 "return redis.call('HSET', '{jobq}:meta', 'version', '4')");
    ck_assert_int_eq(length_of(1), WHOLE);
    struct jobq_put p = keyed(2, &key);
    struct jobq_exchange x = { .size = sizeof x, .client = { 'k' }, .puts = &p, .put_count = 1 };
    x.number = ++kit.number;
    ck_assert_int_ne(jobq_redis()->exchange(kit.store, &x, kit.arena, &kit.err), JOBQ_OK);
    jobq_redis()->close(kit.store);
    ck_assert_int_eq(kit_open(&kit, kit.uri, 0, &kit.store), JOBQ_OK);
    ck_assert_int_eq(put(2, &key, &same), JOBQ_DUPLICATE);
    ck_assert_int_eq(same, 1);
    end_row(1, JOBQ_ROW_COMPLETED);
    ck_assert_int_eq(put(2, &key, NULL), JOBQ_OK);
    ck_assert_int_eq(length_of(1), SHORT);
    kit_end(&kit);
}
END_TEST

KIT_MAIN("redis keys", 60, a_key_is_short_as_long_as_its_job_is, a_store_of_version_4_is_brought_up)
