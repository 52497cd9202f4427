/* SPDX-License-Identifier: MIT */
/* The same request again: contract "Repeating a request"; S11, S16. */
#include "suite.h"

/* A repeat does nothing, and does not depend on how long a row is kept. */
static void repeat_after_pruning(void)
{
    struct jobq_put p = put_of(1);
    struct jobq_exchange x = { .puts = &p, .put_count = 1 };
    go(me, &x);
    is(p.verdict, JOBQ_OK);
    struct actor *you = another();
    struct jobq_change drop = by_operator(id(1), ANY_STATE, JOBQ_ROW_GONE);
    struct jobq_exchange y = { .changes = &drop, .change_count = 1 };
    go(you, &y);
    is(drop.verdict, JOBQ_OK);
    go(me, &x);
    is(p.verdict, JOBQ_OK);
    is(p.state, JOBQ_ROW_WAITING);
    ok(!exists(1));
    struct jobq_exchange next = { .puts = &p, .put_count = 1 };
    go(me, &next);
    is(p.verdict, JOBQ_OK);
    ok(exists(1));
}

static void repeat_of_an_ack(void)
{
    put_ok(1);
    struct jobq_change c = completed(claim_n(1), "r");
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .trim = { .limit = 9 } };
    go(me, &x);
    ok(!exists(1));
    c.verdict = -99;
    go(me, &x);
    is(c.verdict, JOBQ_OK);
    is(queue_stats("q").completed_total, 1);
}

/* A repeated want answers the rows that it took, under the same token, with the rest of their lease. */
static void repeat_of_a_claim(void)
{
    for (uint32_t i = 1; i <= 5; i++)
        put_ok(i);
    struct jobq_want w = due(2);
    struct jobq_exchange x = { .want = &w };
    go(me, &x);
    is(w.row_count, 2);
    struct jobq_token token = w.token;
    int64_t lease = w.rows[0].lease_until_ms;
    tick(LEASE / 2);
    go(me, &x);
    is(w.row_count, 2);
    ids_are(w.rows[0].id, id(1));
    ids_are(w.rows[1].id, id(2));
    ok(memcmp(&w.token, &token, sizeof token) == 0);
    ok(memcmp(&w.rows[1].token, &token, sizeof token) == 0);
    is(w.rows[0].lease_until_ms, lease);
    is(w.rows[0].attempt, 1);
    bytes_are(w.rows[0].payload, text("p"));
    is(queue_stats("q").present[JOBQ_RUNNING], 2);
}

/* Those that are no longer held are left out. */
static void repeat_of_a_claim_that_was_overtaken(void)
{
    for (uint32_t i = 1; i <= 3; i++)
        put_ok(i);
    struct jobq_want w = due(3);
    struct jobq_exchange x = { .want = &w };
    go(me, &x);
    struct jobq_change c[] = { by_operator(id(1), LIVE, JOBQ_ROW_CANCELLED), completed(&w.rows[2], "r") };
    c[0].outcome = JOBQ_OUTCOME_VOID;
    struct jobq_exchange y = { .changes = c, .change_count = 2 };
    go(another(), &y);
    is(c[1].verdict, JOBQ_OK);
    go(me, &x);
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(2));
}

static void repeat_of_refusals(void)
{
    const struct jobq_put_key key = { .scope = { 1 }, .hold = JOBQ_HOLD_LIVE };
    struct jobq_put holder = put_of(1);
    holder.unique = &key;
    is(put(&holder), JOBQ_OK);
    struct jobq_put puts[] = { put_of(1), put_of(2) };
    puts[1].unique = &key;
    struct jobq_change c = by_operator(id(1), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING);
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .puts = puts, .put_count = 2 };
    go(me, &x);
    is(c.verdict, JOBQ_STALE);
    struct jobq_change cancel = by_operator(id(1), LIVE, JOBQ_ROW_CANCELLED);
    struct jobq_exchange y = { .changes = &cancel, .change_count = 1 };
    go(another(), &y); /* now the change would be allowed, and the key is free */
    go(me, &x);
    is(c.verdict, JOBQ_STALE);
    is(c.stale, JOBQ_STALE_STATE);
    ok(c.row != NULL);
    is(puts[0].verdict, JOBQ_ALREADY);
    is(puts[1].verdict, JOBQ_DUPLICATE);
    ids_are(puts[1].holder, id(1));
    is(row_n(1)->state, JOBQ_ROW_CANCELLED);
    ok(!exists(2));
}

static void repeat_of_an_extension(void)
{
    const struct jobq_put_key key = { .scope = { 1 }, .hold = JOBQ_HOLD_LIVE, .conflict = JOBQ_CONFLICT_EXTEND };
    struct jobq_put p = put_of(1), q = put_of(2);
    p.unique = q.unique = &key;
    q.run_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    struct jobq_exchange x = { .puts = &q, .put_count = 1 };
    go(me, &x);
    is(q.verdict, JOBQ_EXTENDED);
    int64_t run_at = row_n(1)->run_at_ms;
    tick(STEP / 2);
    go(me, &x);
    is(q.verdict, JOBQ_EXTENDED);
    ids_are(q.holder, id(1));
    is(row_n(1)->run_at_ms, run_at);
    is(row_n(1)->edits, 1);
}

static void repeat_of_a_beat(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    struct jobq_change cancel = by_operator(id(1), LIVE, JOBQ_ROW_KEEP);
    cancel.set = JOBQ_SET_CANCEL_ASKED;
    change_ok(cancel);
    struct jobq_beat beat = { .token = r->token, .lease_ms = LEASE };
    struct jobq_exchange x = { .beats = &beat, .beat_count = 1 };
    go(me, &x);
    is(beat.mark_count, 1);
    int64_t lease = row_n(1)->lease_until_ms;
    tick(LEASE / 2);
    beat.held = beat.mark_count = 0;
    go(me, &x);
    is(beat.held, 1);
    is(beat.mark_count, 1);
    ids_are(beat.marks[0].id, id(1));
    is(beat.marks[0].cancel_asked, 1);
    is(row_n(1)->lease_until_ms, lease);
}

/* An extension answers the same end. */
static void repeat_of_a_lease(void)
{
    put_ok(1);
    struct jobq_change c = by_token(claim_n(1), JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_LEASE;
    c.lease_ms = 3 * LEASE;
    struct jobq_exchange x = { .changes = &c, .change_count = 1 };
    go(me, &x);
    int64_t end = c.lease_until_ms;
    tick(LEASE);
    go(me, &x);
    is(c.lease_until_ms, end);
    is(row_n(1)->lease_until_ms, end);
}

/* Clients are told apart by their 16 bytes, numbers by each client's own count. */
static void two_clients_one_number(void)
{
    struct actor *you = another();
    struct jobq_put p = put_of(1), q = put_of(2);
    struct jobq_exchange x = { .puts = &p, .put_count = 1, .number = 500 };
    struct jobq_exchange y = { .puts = &q, .put_count = 1, .number = 500 };
    go(me, &x);
    go(you, &y);
    is(p.verdict, JOBQ_OK);
    is(q.verdict, JOBQ_OK);
    ok(exists(1) && exists(2));
    q = put_of(3);
    y.number = 501;
    go(you, &y);
    is(q.verdict, JOBQ_OK);
    go(me, &x); /* mine is kept whatever you do */
    is(p.verdict, JOBQ_OK);
}

/* Number 0 asks for no receipt: done again, and known by the row alone. */
static void no_receipt(void)
{
    struct jobq_put p = put_of(1);
    struct jobq_exchange x = { .size = sizeof x, .puts = &p, .put_count = 1 };
    for (int i = 0; i < 2; i++) {
        int status;
        do
            status = store_table()->exchange(me->store, &x, me->arena, &me->err);
        while (status == JOBQ_FAILED && strcmp(me->err.text, "injected") == 0);
        is(status, JOBQ_OK);
        is(p.verdict, i ? JOBQ_ALREADY : JOBQ_OK);
    }
}

/* S16: a request that was FAILED left no receipt; the same number does the work. */
static void failed_leaves_no_receipt(void)
{
    struct jobq_put p = put_of(1);
    p.only_if = 7; /* there is no such change */
    struct jobq_exchange x = { .puts = &p, .put_count = 1 };
    is(go_status(me, &x), JOBQ_FAILED);
    ok(!exists(1));
    p.only_if = -1;
    go(me, &x);
    is(p.verdict, JOBQ_OK);
    ok(exists(1));
}

static const struct test tests[] = {
    { .name = "a repeated put, its row pruned (S11)", .run = repeat_after_pruning },
    { .name = "a repeated ack, its row pruned (S11)", .run = repeat_of_an_ack },
    { .name = "a repeated claim takes no other rows (S4, S11)", .run = repeat_of_a_claim },
    { .name = "a repeated claim gives only what is held", .run = repeat_of_a_claim_that_was_overtaken },
    { .name = "repeated refusals stay refusals (S11)", .run = repeat_of_refusals },
    { .name = "a repeated EXTENDED acts once (S11)", .run = repeat_of_an_extension, .needs = JOBQ_CAP_KEY_MODES },
    { .name = "a repeated beat", .run = repeat_of_a_beat },
    { .name = "a repeated extension", .run = repeat_of_a_lease },
    { .name = "two clients, one number", .run = two_clients_one_number },
    { .name = "number 0 keeps no receipt", .run = no_receipt },
    { .name = "FAILED keeps no receipt (S16)", .run = failed_leaves_no_receipt },
};
const struct topic topic_receipt = TOPIC("receipt", tests);
