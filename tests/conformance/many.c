/* SPDX-License-Identifier: MIT */
/* Many puts of one exchange answer and do what they would one by one: lifecycle rules 8, 9, 10 and 16. Stores put plain
 * ones together, so what is not plain stands at each place of theirs once. */
#include "suite.h"

#include <stdio.h>

#define MANY 20

static struct jobq_put given[MANY];
static struct jobq_put_key keys[MANY];

/* put_of(0) and on; with keys of their own where it is asked for. */
static void prepare(bool keyed)
{
    for (uint32_t i = 0; i < MANY; i++) {
        given[i] = put_of(i);
        keys[i] = (struct jobq_put_key){ .scope = { 's', (uint8_t)(i * 37) }, .payload_digest = { (uint8_t)i },
                                         .hold = JOBQ_HOLD_LIVE, .conflict = JOBQ_CONFLICT_RETURN };
        if (keyed) {
            given[i].key = text("key");
            given[i].unique = &keys[i];
        }
    }
}

static void put_all(void)
{
    struct jobq_exchange x = { .puts = given, .put_count = MANY };
    go(me, &x);
}

/* Of the puts the one at `odd` has this verdict, all others are OK. */
static void all_but(uint32_t odd, int verdict)
{
    for (uint32_t i = 0; i < MANY; i++) {
        is(given[i].verdict, i == odd ? verdict : JOBQ_OK);
        is(given[i].retry_ms, 0);
        if (i != odd)
            ids_are(given[i].holder, id(i));
    }
}

static void forget_all(void)
{
    for (uint32_t i = 0; i < MANY; i++)
        if (exists(i))
            change_ok(by_operator(id(i), ANY_STATE, JOBQ_ROW_GONE));
}

static void come_in_their_order(bool keyed)
{
    prepare(keyed);
    put_all();
    all_but(MANY, 0);
    is(queue_stats("q").enqueued_total, MANY);
    is(queue_stats("q").present[JOBQ_READY], MANY);
    for (uint32_t i = 0; i < MANY; i++)
        claim_n(i);
}

static void plain_ones(void)
{
    come_in_their_order(false);
}

static void keyed_ones(void)
{
    come_in_their_order(true);
    prepare(true);
    for (uint32_t i = 0; i < MANY; i++)
        given[i].id = id(100 + i);
    put_all();
    for (uint32_t i = 0; i < MANY; i++) {
        is(given[i].verdict, JOBQ_DUPLICATE);
        is(given[i].same_payload, 1);
        is(given[i].state, JOBQ_ROW_RUNNING);
        ids_are(given[i].holder, id(i));
    }
    is(queue_stats("q").enqueued_total, MANY);
}

static void one_is_there(bool keyed)
{
    for (uint32_t odd = 0; odd < MANY; odd++) {
        prepare(keyed);
        struct jobq_put before = given[odd];
        before.payload = text("other");
        is(put(&before), JOBQ_OK);
        put_all();
        all_but(odd, JOBQ_ALREADY);
        is(given[odd].same_payload, 0);
        bytes_are(row_n(odd)->payload, text("other"));
        is(queue_stats("q").present[JOBQ_READY], MANY);
        forget_all();
    }
}

static void id_is_there(void)
{
    one_is_there(false);
    one_is_there(true);
}

/* The id is there, and its key is free or another's by now: it stays so. */
static void id_is_there_without_its_key(void)
{
    for (uint32_t odd = 0; odd < MANY; odd++) {
        prepare(true);
        struct jobq_put before = given[odd];
        is(put(&before), JOBQ_OK);
        finish(odd, JOBQ_ROW_CANCELLED);
        put_all();
        all_but(odd, JOBQ_ALREADY);
        struct jobq_put taker = put_of(100 + odd);
        taker.unique = &keys[odd];
        is(put(&taker), JOBQ_OK);
        prepare(true);
        put_all();
        for (uint32_t i = 0; i < MANY; i++)
            is(given[i].verdict, JOBQ_ALREADY);
        taker.id = id(200 + odd);
        is(put(&taker), JOBQ_DUPLICATE);
        ids_are(taker.holder, id(100 + odd));
        change_ok(by_operator(id(100 + odd), ANY_STATE, JOBQ_ROW_GONE));
        forget_all();
    }
}

static void id_comes_twice(void)
{
    for (uint32_t odd = 1; odd < MANY; odd++) {
        prepare(odd % 2);
        given[odd].id = given[odd - 1].id;
        if (odd % 4 == 1)
            given[odd].unique = given[odd - 1].unique;
        put_all();
        all_but(odd, JOBQ_ALREADY);
        is(queue_stats("q").present[JOBQ_READY], MANY - 1);
        if (odd % 2) { /* the key of the first is held by it */
            struct jobq_put other = put_of(100);
            other.unique = &keys[odd - 1];
            is(put(&other), JOBQ_DUPLICATE);
            ids_are(other.holder, id(odd - 1));
        }
        forget_all();
    }
}

static void key_is_held(void)
{
    for (uint32_t odd = 0; odd < MANY; odd++) {
        prepare(true);
        struct jobq_put before = put_of(100);
        before.unique = &keys[odd];
        is(put(&before), JOBQ_OK);
        put_all();
        all_but(odd, JOBQ_DUPLICATE);
        ids_are(given[odd].holder, id(100));
        ok(!exists(odd));
        change_ok(by_operator(id(100), ANY_STATE, JOBQ_ROW_GONE));
        forget_all();
    }
}

static void key_comes_twice(void)
{
    for (uint32_t odd = 1; odd < MANY; odd++) {
        prepare(true);
        given[odd].unique = &keys[odd - 1];
        put_all();
        all_but(odd, JOBQ_DUPLICATE);
        ids_are(given[odd].holder, id(odd - 1));
        forget_all();
    }
}

static void up_to_the_depth(void)
{
    for (uint32_t depth = 0; depth < MANY; depth += 3) {
        limit_queue("q", JOBQ_SETTING_DEPTH, depth, 0);
        prepare(depth % 2);
        put_all();
        for (uint32_t i = 0; i < MANY; i++)
            is(given[i].verdict, i < depth ? JOBQ_OK : JOBQ_FULL);
        forget_all();
    }
    limit_queue("q", JOBQ_SETTING_DEPTH, -1, 0);
}

static void up_to_the_quota(void)
{
    limit_group("few", JOBQ_SETTING_QUOTA, 3, STEP);
    prepare(false);
    for (uint32_t i = 0; i < MANY; i++)
        given[i].group = text(i % 2 ? "few" : "free");
    put_all();
    for (uint32_t i = 0; i < MANY; i++)
        is(given[i].verdict, i % 2 && i > 5 ? JOBQ_LIMITED : JOBQ_OK);
}

/* Each of another kind, and each kind at another place in the next round. */
static void of_every_kind(void)
{
    static char long_payload[4096];
    memset(long_payload, 'x', sizeof long_payload);
    for (uint32_t round = 0; round < MANY; round++) {
        prepare(false);
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t kind = (i + round) % MANY;
            if (kind % 5 == 1)
                given[i].group = text("group");
            if (kind % 5 == 2)
                given[i].unique = &keys[i];
            if (kind == 3)
                given[i].payload = bytes(long_payload, sizeof long_payload);
            if (kind == 4)
                given[i].run_at = from_now(STEP);
            if (kind == 8)
                given[i].held = 1;
            if (kind == 9)
                given[i].queue = text("other");
            if (kind == 13)
                given[i].priority = 5;
        }
        put_all();
        all_but(MANY, 0);
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t kind = (i + round) % MANY;
            const struct jobq_row *r = row_n(i);
            is(r->state, kind == 8 ? JOBQ_ROW_BLOCKED : JOBQ_ROW_WAITING);
            is(r->due, kind != 4 && kind != 8);
            is(r->payload_bytes, kind == 3 ? (int64_t)sizeof long_payload : 1);
            bytes_are(r->queue, text(kind == 9 ? "other" : "q"));
            bytes_are(r->group, text(kind % 5 == 1 ? "group" : NULL));
            is(r->priority, kind == 13 ? 5 : 0);
        }
        forget_all();
    }
}

static const struct test tests[] = {
    { .name = "twenty plain ones come in their order (rule 1)", .run = plain_ones },
    { .name = "twenty with keys, and again under other ids (rule 9)", .run = keyed_ones },
    { .name = "one whose id is there (S11)", .run = id_is_there, .flags = MANY_CALLS },
    { .name = "one whose id is there and whose key is not its own (S11, rule 9)", .run = id_is_there_without_its_key,
      .flags = MANY_CALLS },
    { .name = "one whose id comes twice (S11)", .run = id_comes_twice, .flags = MANY_CALLS },
    { .name = "one whose key is held (rule 9)", .run = key_is_held, .flags = MANY_CALLS },
    { .name = "one whose key comes twice (rule 9)", .run = key_comes_twice, .flags = MANY_CALLS },
    { .name = "as many as the depth allows", .run = up_to_the_depth, .flags = MANY_CALLS },
    { .name = "as many as the quota allows (rule 10)", .run = up_to_the_quota, .needs = JOBQ_CAP_GROUPS },
    { .name = "one of every kind at every place (rule 16)", .run = of_every_kind, .needs = JOBQ_CAP_GROUPS,
      .flags = MANY_CALLS },
};
const struct topic topic_many = TOPIC("many", tests);
