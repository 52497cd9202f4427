/* SPDX-License-Identifier: MIT */
/* One successor of a key's holder: lifecycle rule 9; backend.h "Keys". */
#include "suite.h"

static struct jobq_put_key key_of(int hold)
{
    return (struct jobq_put_key){ .scope = { 's' }, .payload_digest = { 'd' }, .hold = hold,
                                  .conflict = JOBQ_CONFLICT_SUCCESSOR, .window_ms = 10 * STEP };
}

static struct jobq_put keyed(uint32_t number, const struct jobq_put_key *key)
{
    struct jobq_put p = put_of(number);
    p.key = text("key");
    p.unique = key;
    return p;
}

static int put_keyed(uint32_t number, int hold)
{
    const struct jobq_put_key key = key_of(hold);
    struct jobq_put p = keyed(number, &key);
    return put(&p);
}

/* A holder of this rule, and a successor that waits for its end. */
static void holder_and_successor(int hold)
{
    is(put_keyed(1, hold), JOBQ_OK);
    is(put_keyed(2, JOBQ_HOLD_LIVE), JOBQ_SUCCESSOR);
    ok(!exists(2));
}

static void put_when_the_holder_ends(void)
{
    const struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE);
    struct jobq_put p = keyed(1, &key);
    is(put(&p), JOBQ_OK);
    struct jobq_put next = keyed(2, &key);
    next.kind = text("other kind");
    next.group = text("g");
    next.payload = bytes("pay\0load", 8);
    next.policy = text("policy");
    next.trace = text("trace");
    next.priority = -7;
    next.rank_add_ms = -70;
    next.timeout_ms = 123;
    next.expires_at = from_now(9 * STEP);
    is(put(&next), JOBQ_SUCCESSOR);
    is(queue_stats("q").enqueued_total, 1);
    tick(STEP);
    change_ok(completed(claim_n(1), "r"));
    int64_t now = me->now;
    const struct jobq_row *r = row_n(2);
    is(r->state, JOBQ_ROW_WAITING);
    ok(r->created_at_ms >= now - 1000 && r->created_at_ms <= now);
    is(r->run_at_ms, r->created_at_ms);
    is(r->expires_at_ms, r->created_at_ms + 9 * STEP);
    bytes_are(r->kind, next.kind);
    bytes_are(r->group, next.group);
    bytes_are(r->payload, next.payload);
    bytes_are(r->policy, next.policy);
    bytes_are(r->key, next.key);
    bytes_are(r->trace, next.trace);
    is(r->priority, -7);
    is(r->rank_add_ms, -70);
    is(r->timeout_ms, 123);
    is(queue_stats("q").enqueued_total, 2);
    claim_n(2);
}

static void verdict_tells(void)
{
    is(put_keyed(1, JOBQ_HOLD_LIVE), JOBQ_OK);
    char *memory = remember(id(1));
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE);
    struct jobq_put p = keyed(2, &key);
    is(put(&p), JOBQ_SUCCESSOR);
    ids_are(p.holder, id(1));
    is(p.state, JOBQ_ROW_WAITING);
    is(p.shown, JOBQ_READY);
    is(p.same_payload, 1);
    key.payload_digest[0] = 'e';
    p = keyed(3, &key);
    is(put(&p), JOBQ_SUCCESSOR);
    is(p.same_payload, 0);
    is_as_remembered(id(1), memory); /* nothing happens to the holder */
    claim_n(1);
    p = keyed(4, &key);
    is(put(&p), JOBQ_SUCCESSOR);
    is(p.state, JOBQ_ROW_RUNNING);
}

static void the_newest_wins(void)
{
    is(put_keyed(1, JOBQ_HOLD_LIVE), JOBQ_OK);
    for (uint32_t i = 2; i < 6; i++)
        is(put_keyed(i, JOBQ_HOLD_LIVE), JOBQ_SUCCESSOR);
    change_ok(completed(claim_n(1), "r"));
    for (uint32_t i = 2; i < 5; i++)
        ok(!exists(i));
    is(row_n(5)->state, JOBQ_ROW_WAITING);
}

/* However it ends: dead, cancelled, removed. */
static void however_it_ends(void)
{
    static const int ends[] = { JOBQ_ROW_COMPLETED, JOBQ_ROW_DEAD, JOBQ_ROW_CANCELLED, JOBQ_ROW_GONE };
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t n = 10 * (i + 1);
        is(put_keyed(n, JOBQ_HOLD_LIVE), JOBQ_OK);
        is(put_keyed(n + 1, JOBQ_HOLD_LIVE), JOBQ_SUCCESSOR);
        finish(n, ends[i]);
        is(row_n(n + 1)->state, JOBQ_ROW_WAITING);
        finish(n + 1, JOBQ_ROW_COMPLETED);
    }
}

/* A retry, a release, a park is no end. */
static void only_an_end(void)
{
    holder_and_successor(JOBQ_HOLD_LIVE);
    change_ok(failed(claim_n(1), JOBQ_ROW_WAITING, 0, "e"));
    ok(!exists(2));
    change_ok(by_token(claim_n(1), JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    ok(!exists(2));
    struct jobq_change park = by_token(claim_n(1), JOBQ_OUTCOME_PARK, JOBQ_ROW_BLOCKED);
    park.reason = JOBQ_REASON_CALLBACK;
    change_ok(park);
    ok(!exists(2));
    finish(1, JOBQ_ROW_CANCELLED);
    ok(exists(2));
}

/* S7: it takes the key by its own rule, in the same step. */
static void takes_the_key(void)
{
    is(put_keyed(1, JOBQ_HOLD_LIVE), JOBQ_OK);
    is(put_keyed(2, JOBQ_HOLD_UNRESOLVED), JOBQ_SUCCESSOR);
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE);
    key.conflict = JOBQ_CONFLICT_RETURN;
    struct jobq_change c = completed(claim_n(1), "r");
    struct jobq_put p = keyed(3, &key);
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .puts = &p, .put_count = 1 };
    go(me, &x);
    is(p.verdict, JOBQ_DUPLICATE);
    ids_are(p.holder, id(2));
    finish(2, JOBQ_ROW_DEAD);
    is(put(&p), JOBQ_DUPLICATE); /* unresolved: a dead one holds */
}

static void a_chain(void)
{
    is(put_keyed(1, JOBQ_HOLD_LIVE), JOBQ_OK);
    for (uint32_t i = 2; i < 8; i++) {
        is(put_keyed(i, JOBQ_HOLD_LIVE), JOBQ_SUCCESSOR);
        change_ok(completed(claim_n(i - 1), "r"));
        ok(none_due() == false || row_n(i)->state == JOBQ_ROW_RUNNING);
        change_ok(by_token(row_n(i), JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    }
}

/* By another rule the key has no successor: the holder is named. */
static void other_rules(void)
{
    static const int holds[] = { JOBQ_HOLD_WAITING, JOBQ_HOLD_WINDOW, JOBQ_HOLD_FOREVER };
    for (uint32_t i = 0; i < 3; i++) {
        struct jobq_put_key key = key_of(holds[i]);
        key.scope[1] = (uint8_t)i;
        struct jobq_put p = keyed(10 + i, &key);
        is(put(&p), JOBQ_OK);
        p = keyed(20 + i, &key);
        is(put(&p), JOBQ_DUPLICATE);
        finish(10 + i, JOBQ_ROW_CANCELLED);
        ok(!exists(20 + i));
    }
}

/* A key that a dead job still holds keeps the successor: until it is resolved. */
static void unresolved(void)
{
    holder_and_successor(JOBQ_HOLD_UNRESOLVED);
    finish(1, JOBQ_ROW_DEAD);
    ok(!exists(2));
    is(put_keyed(3, JOBQ_HOLD_LIVE), JOBQ_SUCCESSOR);
    struct jobq_change again = by_operator(id(1), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING);
    again.set = JOBQ_TAKE_KEY;
    change_ok(again);
    ok(!exists(3));
    change_ok(completed(claim_n(1), "r"));
    ok(!exists(2));
    is(row_n(3)->state, JOBQ_ROW_WAITING);
}

/* Accepted is accepted: depth and quota are not asked again, and not used. */
static void whatever_is_full(void)
{
    const struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE);
    struct jobq_put p = keyed(1, &key);
    is(put(&p), JOBQ_OK);
    p = keyed(2, &key);
    p.group = text("g");
    limit_queue("q", JOBQ_SETTING_DEPTH, 0, 0);
    if (store_has(JOBQ_CAP_GROUPS))
        limit_group("g", JOBQ_SETTING_QUOTA, 0, 10 * STEP);
    is(put(&p), JOBQ_SUCCESSOR);
    finish(1, JOBQ_ROW_CANCELLED);
    is(row_n(2)->state, JOBQ_ROW_WAITING);
    if (store_has(JOBQ_CAP_GROUPS))
        is(limits_of(JOBQ_LIMIT_GROUP, "g", NULL)->quota_used, 0);
}

static void its_id_came_to_exist(void)
{
    holder_and_successor(JOBQ_HOLD_LIVE);
    struct jobq_put p = put_of(2);
    p.payload = text("not the successor");
    is(put(&p), JOBQ_OK);
    finish(1, JOBQ_ROW_CANCELLED);
    bytes_are(row_n(2)->payload, p.payload);
    is(put_keyed(3, JOBQ_HOLD_LIVE), JOBQ_OK); /* and the key is free */
}

/* Its times count from when it is put; a held one is held. */
static void its_times(void)
{
    const struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE);
    is(put_keyed(1, JOBQ_HOLD_LIVE), JOBQ_OK);
    struct jobq_put p = keyed(2, &key);
    p.run_at = from_now(3 * STEP);
    is(put(&p), JOBQ_SUCCESSOR);
    tick(5 * STEP);
    finish(1, JOBQ_ROW_CANCELLED);
    is(row_n(2)->run_at_ms, row_n(2)->created_at_ms + 3 * STEP);
    ok(none_due());
    p = keyed(3, &key);
    p.held = 1;
    is(put(&p), JOBQ_SUCCESSOR);
    finish(2, JOBQ_ROW_CANCELLED);
    is(row_n(3)->state, JOBQ_ROW_BLOCKED);
    is(row_n(3)->reason, JOBQ_REASON_HOLD);
}

/* Ended by a sweep's judgement, by retention's removal of nothing: the same. Its want may take it at once. */
static void ended_and_taken_at_once(void)
{
    holder_and_successor(JOBQ_HOLD_LIVE);
    struct jobq_change c = completed(claim_n(1), "r");
    struct jobq_want w = due(9);
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .want = &w };
    go(me, &x);
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(2));
}

static void large_and_large_again(void)
{
    static char large[200000];
    memset(large, 'x', sizeof large);
    is(put_keyed(1, JOBQ_HOLD_LIVE), JOBQ_OK);
    const struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE);
    for (uint32_t i = 2; i < 4; i++) {
        struct jobq_put p = keyed(i, &key);
        p.payload = bytes(large, sizeof large);
        is(put(&p), JOBQ_SUCCESSOR);
    }
    finish(1, JOBQ_ROW_CANCELLED);
    bytes_are(row_n(3)->payload, bytes(large, sizeof large));
    finish(3, JOBQ_ROW_COMPLETED);
}

#define HAS JOBQ_CAP_SUCCESSOR
static const struct test tests[] = {
    { .name = "put whole when the holder ends (rule 9)", .run = put_when_the_holder_ends, .needs = HAS },
    { .name = "the verdict tells of the holder", .run = verdict_tells, .needs = HAS },
    { .name = "the newest wins (rule 9)", .run = the_newest_wins, .needs = HAS },
    { .name = "however the holder ends", .run = however_it_ends, .needs = HAS },
    { .name = "only an end is an end", .run = only_an_end, .needs = HAS },
    { .name = "takes the key by its own rule (S7)", .run = takes_the_key, .needs = HAS },
    { .name = "a chain", .run = a_chain, .needs = HAS },
    { .name = "other rules have none", .run = other_rules, .needs = HAS },
    { .name = "unresolved: after the redrive", .run = unresolved, .needs = HAS },
    { .name = "whatever is full meanwhile", .run = whatever_is_full, .needs = HAS },
    { .name = "dropped when its id exists", .run = its_id_came_to_exist, .needs = HAS },
    { .name = "its times count from then", .run = its_times, .needs = HAS },
    { .name = "ended and taken in one exchange", .run = ended_and_taken_at_once, .needs = HAS },
    { .name = "large ones", .run = large_and_large_again, .needs = HAS },
};
const struct topic topic_successor = TOPIC("successor", tests);
