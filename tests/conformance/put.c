/* SPDX-License-Identifier: MIT */
/* New jobs: lifecycle rules 1, 8, 14 and 16; contract "Puts and keys". */
#include "suite.h"

/* S1, S14: an enqueue answered OK is found as it was given. */
static void keeps_every_member(void)
{
    struct jobq_put p = put_of(1);
    p.kind = text("mail");
    p.group = text("tenant");
    p.payload = text("body");
    p.policy = text("policy");
    p.key = text("key");
    p.trace = text("00-trace");
    p.priority = -7;
    p.rank_add_ms = -4200;
    p.timeout_ms = 5000;
    p.expires_at = from_now(9000);
    is(put(&p), JOBQ_OK);
    is(p.state, JOBQ_ROW_WAITING);
    is(p.shown, JOBQ_READY);
    ids_are(p.holder, id(1));
    const struct jobq_row *r = row_n(1);
    bytes_are(r->queue, text("q"));
    bytes_are(r->kind, text("mail"));
    bytes_are(r->group, text("tenant"));
    bytes_are(r->payload, text("body"));
    bytes_are(r->policy, text("policy"));
    bytes_are(r->key, text("key"));
    bytes_are(r->trace, text("00-trace"));
    is(r->payload_bytes, 4);
    is(r->priority, -7);
    is(r->rank_add_ms, -4200);
    is(r->timeout_ms, 5000);
    is(r->expires_at_ms, r->created_at_ms + 9000);
}

static void starts_with_nothing_behind_it(void)
{
    int64_t before = now_of_store();
    put_ok(1);
    const struct jobq_row *r = row_n(1);
    ok(r->created_at_ms >= before && r->created_at_ms <= me->now);
    is(r->run_at_ms, r->created_at_ms);
    is(r->state, JOBQ_ROW_WAITING);
    is(r->due, 1);
    is(r->reason + r->outcome + r->attempt + r->failures + r->crashes + r->snoozes + r->releases + r->redrives, 0);
    is(r->fence + r->started_at_ms + r->finished_at_ms + r->lease_until_ms + r->stop_at_ms + r->expires_at_ms, 0);
    is(r->callback_until_ms + r->edits + r->pending, 0);
    is(r->cancel_asked + r->held + r->alone + r->ran_alone + r->resumed + r->has_callback, 0);
    is(r->error_count + r->parent_count, 0);
    ok(!r->worker.data && !r->result.data && !r->progress.data && !r->data.data && !r->group.data && !r->key.data);
}

/* S11: the same id again is the same request. */
static void same_id_is_already(void)
{
    put_ok(1);
    char *memory = remember(id(1));
    struct jobq_put p = put_of(1);
    is(put(&p), JOBQ_ALREADY);
    is(p.same_payload, 1);
    is(p.state, JOBQ_ROW_WAITING);
    p = put_of(1);
    p.payload = text("other");
    p.queue = text("elsewhere");
    is(put(&p), JOBQ_ALREADY);
    is(p.same_payload, 0);
    ids_are(p.holder, id(1));
    is_as_remembered(id(1), memory);
    is(queue_stats("elsewhere").enqueued_total, 0);
    is(queue_stats("q").enqueued_total, 1);
}

static void same_id_in_any_state(void)
{
    static const int states[] = { JOBQ_ROW_BLOCKED, JOBQ_ROW_RUNNING, JOBQ_ROW_COMPLETED, JOBQ_ROW_DEAD,
                                  JOBQ_ROW_CANCELLED };
    static const int shown[] = { JOBQ_BLOCKED, JOBQ_RUNNING, JOBQ_COMPLETED, JOBQ_DEAD, JOBQ_CANCELLED };
    for (uint32_t i = 0; i < 5; i++) {
        make(i, states[i]);
        struct jobq_put p = put_of(i);
        is(put(&p), JOBQ_ALREADY);
        is(p.state, states[i]);
        is(p.shown, shown[i]);
    }
}

static void same_id_twice_in_one_exchange(void)
{
    struct jobq_put both[] = { put_of(1), put_of(1) };
    both[1].payload = text("second");
    struct jobq_exchange x = { .puts = both, .put_count = 2 };
    go(me, &x);
    is(both[0].verdict, JOBQ_OK);
    is(both[1].verdict, JOBQ_ALREADY);
    is(both[1].same_payload, 0);
    bytes_are(row_n(1)->payload, text("p"));
}

/* Absent and empty payloads are two things (S14), also for ALREADY. */
static void absent_payload_is_not_empty(void)
{
    struct jobq_put p = put_of(1);
    p.payload = bytes("", 0);
    is(put(&p), JOBQ_OK);
    bytes_are(row_n(1)->payload, bytes("", 0));
    p.payload = text(NULL);
    is(put(&p), JOBQ_ALREADY);
    is(p.same_payload, 0);
    p = put_of(2);
    p.payload = text(NULL);
    is(put(&p), JOBQ_OK);
    bytes_are(row_n(2)->payload, text(NULL));
}

/* States: scheduled and ready differ by time alone. */
static void delayed_is_scheduled(void)
{
    struct jobq_put p = put_of(1);
    p.run_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    is(p.state, JOBQ_ROW_WAITING);
    is(p.shown, JOBQ_SCHEDULED);
    const struct jobq_row *r = row_n(1);
    is(r->run_at_ms, r->created_at_ms + STEP);
    is(r->due, 0);
    ok(none_due());
    tick(STEP);
    struct jobq_put again = put_of(1);
    is(put(&again), JOBQ_ALREADY);
    is(again.shown, JOBQ_READY);
    claim_n(1);
}

static void time_bases_of_a_put(void)
{
    int64_t now = now_of_store();
    struct jobq_put p[5];
    const struct jobq_time times[] = {
        { .base = JOBQ_TIME_KEEP, .offset_ms = 77 }, { .base = JOBQ_TIME_NOW, .offset_ms = INT64_MAX },
        { .base = JOBQ_TIME_LATER, .offset_ms = 5000 }, { .base = JOBQ_TIME_ABS, .offset_ms = now + 3 * STEP },
        { .base = JOBQ_TIME_ROW, .offset_ms = now - STEP },
    };
    for (uint32_t i = 0; i < 5; i++) {
        p[i] = put_of(i);
        p[i].run_at = times[i];
    }
    struct jobq_exchange x = { .puts = p, .put_count = 5 };
    go(me, &x);
    int64_t made = row_n(0)->created_at_ms;
    is(row_n(0)->run_at_ms, made);
    is(row_n(1)->run_at_ms, INT64_MAX);
    is(row_n(2)->run_at_ms, made + 5000);
    is(row_n(3)->run_at_ms, now + 3 * STEP);
    is(row_n(4)->run_at_ms, now - STEP);
    is(row_n(4)->due, 1);
    is(row_n(0)->expires_at_ms, 0);
}

/* Rule 11: a held job waits until the hold is lifted. */
static void held_is_blocked(void)
{
    struct jobq_put p = put_of(1);
    p.held = 1;
    is(put(&p), JOBQ_OK);
    is(p.state, JOBQ_ROW_BLOCKED);
    is(p.shown, JOBQ_BLOCKED);
    is(row_n(1)->reason, JOBQ_REASON_HOLD);
    is(row_n(1)->held, 1);
    is(row_n(1)->due, 0);
    ok(none_due());
    struct jobq_change lift = by_operator(id(1), JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED), JOBQ_ROW_KEEP);
    lift.set = JOBQ_LIFT_HOLD;
    change_ok(lift);
    is(row_n(1)->state, JOBQ_ROW_WAITING);
    is(row_n(1)->reason, JOBQ_REASON_NONE);
    is(row_n(1)->held, 0);
    is(row_n(1)->edits, 1);
    claim_n(1);
}

static void held_and_delayed(void)
{
    struct jobq_put p = put_of(1);
    p.held = 1;
    p.run_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    struct jobq_change lift = by_operator(id(1), JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED), JOBQ_ROW_WAITING);
    lift.set = JOBQ_LIFT_HOLD;
    change_ok(lift);
    is(row_n(1)->due, 0);
    ok(none_due());
    tick(STEP);
    claim_n(1);
}

/* Contract "FAILED": a put that hangs on a change goes with it. */
static void only_if_the_change_was_made(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    struct jobq_change changes[] = { completed(r, "r"), completed(r, "r") };
    changes[1].id = id(99);
    struct jobq_put puts[] = { put_of(2), put_of(3), put_of(4) };
    puts[0].only_if = 0;
    puts[1].only_if = 1;
    struct jobq_exchange x = { .changes = changes, .change_count = 2, .puts = puts, .put_count = 3 };
    go(me, &x);
    is(puts[0].verdict, JOBQ_OK);
    is(puts[1].verdict, JOBQ_SKIPPED);
    is(puts[2].verdict, JOBQ_OK);
    ok(exists(2) && !exists(3) && exists(4));
}

static void only_if_already_is_skipped(void)
{
    put_ok(1);
    struct jobq_change first = completed(claim_n(1), "r"), second = first;
    change_ok(first);
    struct jobq_put p = put_of(2);
    p.only_if = 0;
    struct jobq_exchange x = { .changes = &second, .change_count = 1, .puts = &p, .put_count = 1 };
    go(me, &x);
    is(second.verdict, JOBQ_ALREADY);
    is(p.verdict, JOBQ_SKIPPED);
    ok(!exists(2));
}

/* A put that is not OK never undoes another item. */
static void verdicts_are_per_item(void)
{
    put_ok(2);
    const struct jobq_parent nobody = { .id = id(77) };
    struct jobq_put puts[] = { put_of(1), put_of(2), put_of(3), put_of(4) };
    if (store_has(JOBQ_CAP_EDGES)) {
        puts[2].parents = &nobody;
        puts[2].parent_count = 1;
    } else {
        puts[2].id = id(2);
    }
    struct jobq_exchange x = { .puts = puts, .put_count = 4 };
    go(me, &x);
    is(puts[0].verdict, JOBQ_OK);
    is(puts[1].verdict, JOBQ_ALREADY);
    is(puts[2].verdict, store_has(JOBQ_CAP_EDGES) ? JOBQ_NO_PARENT : JOBQ_ALREADY);
    is(puts[3].verdict, JOBQ_OK);
    ok(exists(1) && !exists(3) && exists(4));
}

static void depth_of_one(void)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_DEPTH,
                               .name = text("q"), .depth = 1 };
    is(configure(&s), JOBQ_OK);
}

/* SKIPPED, ALREADY, NO_PARENT, DUPLICATE, FULL: the first that applies. */
static void order_of_verdicts(void)
{
    const struct jobq_parent nobody = { .id = id(77) };
    const struct jobq_put_key key = { .scope = { 1 }, .hold = JOBQ_HOLD_LIVE };
    depth_of_one();
    struct jobq_put first = put_of(1);
    first.unique = &key;
    is(put(&first), JOBQ_OK);
    struct jobq_change miss = by_operator(id(88), ANY_STATE, JOBQ_ROW_KEEP);
    struct jobq_put puts[] = { put_of(1), put_of(1), put_of(2), put_of(3), put_of(4) };
    puts[0].only_if = 0;
    for (int i = 0; i < 4; i++)
        puts[i].unique = &key;
    if (store_has(JOBQ_CAP_EDGES))
        for (int i = 0; i < 3; i++) {
            puts[i].parents = &nobody;
            puts[i].parent_count = 1;
        }
    struct jobq_exchange x = { .changes = &miss, .change_count = 1, .puts = puts, .put_count = 5 };
    go(me, &x);
    is(puts[0].verdict, JOBQ_SKIPPED);
    is(puts[1].verdict, JOBQ_ALREADY);
    is(puts[2].verdict, store_has(JOBQ_CAP_EDGES) ? JOBQ_NO_PARENT : JOBQ_DUPLICATE);
    is(puts[3].verdict, JOBQ_DUPLICATE);
    is(puts[4].verdict, JOBQ_FULL);
    is(queue_stats("q").enqueued_total, 1);
}

/* Depth counts what waits and what is blocked, not what runs or has ended. */
static void depth_of_a_queue(void)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_DEPTH,
                               .name = text("q"), .depth = 2 };
    is(configure(&s), JOBQ_OK);
    struct jobq_put p[] = { put_of(1), put_of(2), put_of(3), put_of(4) };
    p[0].held = 1;
    p[1].run_at = from_now(STEP);
    p[3].queue = text("other");
    struct jobq_exchange x = { .puts = p, .put_count = 4 };
    go(me, &x);
    is(p[0].verdict, JOBQ_OK);
    is(p[1].verdict, JOBQ_OK);
    is(p[2].verdict, JOBQ_FULL);
    is(p[3].verdict, JOBQ_OK);
    ok(!exists(3));
    tick(STEP);
    claim_n(2);
    put_ok(3);
    s.depth = -1;
    is(configure(&s), JOBQ_OK);
    put_ok(5);
}

/* What a change frees can be used by a put of the same exchange. */
static void changes_come_before_puts(void)
{
    depth_of_one();
    put_ok(1);
    struct jobq_change drop = by_operator(id(1), ANY_STATE, JOBQ_ROW_GONE);
    struct jobq_put p = put_of(2);
    struct jobq_exchange x = { .changes = &drop, .change_count = 1, .puts = &p, .put_count = 1 };
    go(me, &x);
    is(drop.verdict, JOBQ_OK);
    is(p.verdict, JOBQ_OK);
}

static const struct test tests[] = {
    { .name = "OK keeps every member of the job (S1, S14)", .run = keeps_every_member },
    { .name = "a new job has no history", .run = starts_with_nothing_behind_it },
    { .name = "the same id again is ALREADY and changes nothing (S11)", .run = same_id_is_already },
    { .name = "the same id is ALREADY in every state", .run = same_id_in_any_state },
    { .name = "the same id twice in one exchange", .run = same_id_twice_in_one_exchange },
    { .name = "absent and empty payload differ (S14)", .run = absent_payload_is_not_empty },
    { .name = "a delayed job is scheduled until its time", .run = delayed_is_scheduled },
    { .name = "run_at from every base, saturating", .run = time_bases_of_a_put },
    { .name = "a held job is blocked until the hold is lifted (rule 11)", .run = held_is_blocked },
    { .name = "a lifted hold leaves the delay", .run = held_and_delayed },
    { .name = "only_if: SKIPPED when its change was not OK", .run = only_if_the_change_was_made },
    { .name = "only_if: SKIPPED when its change was ALREADY", .run = only_if_already_is_skipped },
    { .name = "verdicts are per item (rule 16)", .run = verdicts_are_per_item },
    { .name = "the first verdict that applies", .run = order_of_verdicts },
    { .name = "FULL by the queue's depth", .run = depth_of_a_queue },
    { .name = "puts see what the changes freed", .run = changes_come_before_puts },
};
const struct topic topic_put = TOPIC("put", tests);
