/* SPDX-License-Identifier: MIT */
/*
 * Many plain jobs at a time, and one of them is touched: lifecycle rules 6, 7; S1, S2, S3; see batch_kit.h. Whatever it
 * is, the one is as if it had been claimed and ended by itself, and the others are as they were.
 */
#include "batch_kit.h"

#define ONE_OF_THEM 5
#define RUNNING JOBQ_ROW_BIT(JOBQ_ROW_RUNNING)

/* The one, as it has to be before anybody touches it. */
static struct jobq_row the_one(const struct batch *b)
{
    return b->ended ? as_ended(ONE_OF_THEM, b) : as_claimed(ONE_OF_THEM, &b->w);
}

static const struct jobq_row *held(const struct batch *b)
{
    return &b->w.rows[ONE_OF_THEM];
}

static void one_is(struct jobq_row expected)
{
    row_is(row_n(ONE_OF_THEM), &expected);
}

/* A worker's change: made to what runs; of what ended it says so and changes no byte. */
static void by_its_worker(struct batch *b, struct jobq_change *c)
{
    struct jobq_row before = b->ended ? the_one(b) : (struct jobq_row){ 0 };
    is(change(c), b->ended ? JOBQ_STALE : JOBQ_OK);
    is(c->stale, b->ended ? JOBQ_STALE_OUTCOME : JOBQ_STALE_NONE);
    if (b->ended) {
        one_is(before);
        before.payload = text(NULL);
        row_is(c->row, &before);
    }
    all_but(b, ONE_OF_THEM);
}

/* An operator's: allowed where it says so, else STALE with the row as it is. */
static int by_operators(struct batch *b, struct jobq_change *c)
{
    struct jobq_row before = the_one(b);
    unsigned state = b->ended ? JOBQ_ROW_COMPLETED : JOBQ_ROW_RUNNING;
    bool allowed = c->allowed & JOBQ_ROW_BIT(state);
    is(change(c), allowed ? JOBQ_OK : JOBQ_STALE);
    if (!allowed) {
        is(c->stale, JOBQ_STALE_STATE);
        one_is(before);
        before.payload = text(NULL);
        row_is(c->row, &before);
    }
    all_but(b, ONE_OF_THEM);
    return allowed;
}

/* The others go on to their end, and everything is counted. */
static void the_others_end(struct batch *b, uint64_t waiting, uint64_t running, uint64_t completed)
{
    if (!b->ended) {
        ack(b, 0, ONE_OF_THEM);
        is_over(b, 0, ONE_OF_THEM);
        ack(b, ONE_OF_THEM + 1, MANY - ONE_OF_THEM - 1);
        is_over(b, ONE_OF_THEM + 1, MANY - ONE_OF_THEM - 1);
    }
    counts("q", waiting, running, completed + MANY - 1);
}

/* ---- by its worker ------------------------------------------------------------------------------------------- */

static void completed_with_a_result(struct batch *b)
{
    struct jobq_change c = completed(held(b), "result");
    struct jobq_row before = b->ended ? the_one(b) : (struct jobq_row){ 0 };
    int64_t from = clock_of_store();
    is(change(&c), b->ended ? JOBQ_ALREADY : JOBQ_OK);
    if (b->ended) {
        one_is(before);
    } else {
        struct batch alone = *b;
        alone.ended_from = from;
        alone.ended_to = clock_of_store();
        struct jobq_row r = as_ended(ONE_OF_THEM, &alone);
        r.result = text("result");
        one_is(r);
    }
    all_but(b, ONE_OF_THEM);
    the_others_end(b, 0, 0, 1);
}
EITHER(completed_with_a_result)

static void failed_and_again(struct batch *b)
{
    struct jobq_change c = failed(held(b), JOBQ_ROW_WAITING, 0, "e");
    struct jobq_row r = as_claimed(ONE_OF_THEM, &b->w);
    by_its_worker(b, &c);
    if (!b->ended) {
        struct jobq_row_error e = { .attempt = 1, .kind = JOBQ_ERROR_HANDLER, .worker = text("w"), .text = text("e"),
                                    .at_ms = row_n(ONE_OF_THEM)->errors[0].at_ms };
        r.state = JOBQ_ROW_WAITING;
        r.due = 1;
        r.outcome = JOBQ_OUTCOME_FAIL;
        r.failures = 1;
        r.lease_until_ms = 0;
        r.errors = &e;
        r.error_count = 1;
        one_is(r);
        const struct jobq_row *again = claim_n(ONE_OF_THEM);
        is(again->attempt, 2);
        change_ok(completed(again, "r"));
    }
    ok(none_due());
    the_others_end(b, 0, 0, 1);
}
EITHER(failed_and_again)

static void failed_for_good(struct batch *b)
{
    struct jobq_change c = failed(held(b), JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e");
    by_its_worker(b, &c);
    is(row_n(ONE_OF_THEM)->state, b->ended ? JOBQ_ROW_COMPLETED : JOBQ_ROW_DEAD);
    ok(none_due());
    the_others_end(b, 0, 0, b->ended);
}
EITHER(failed_for_good)

/* Rule 7: its place is kept, before those that came later. */
static void given_back(struct batch *b)
{
    struct jobq_change c = by_token(held(b), JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING);
    struct jobq_row r = as_claimed(ONE_OF_THEM, &b->w);
    put_many(100, 2);
    by_its_worker(b, &c);
    if (!b->ended) {
        r.state = JOBQ_ROW_WAITING;
        r.due = 1;
        r.outcome = JOBQ_OUTCOME_RELEASE;
        r.lease_until_ms = 0;
        one_is(r);
        is(claim_n(ONE_OF_THEM)->attempt, 2);
        struct jobq_change late = plain_ack(held(b));
        is(change(&late), JOBQ_STALE);
        is(late.stale, JOBQ_STALE_OVERTAKEN);
    }
    claim_n(100);
    claim_n(101);
    ok(none_due());
    the_others_end(b, 0, b->ended ? 2 : 3, b->ended);
}
EITHER(given_back)

static void snoozed(struct batch *b)
{
    struct jobq_change c = by_token(held(b), JOBQ_OUTCOME_SNOOZE, JOBQ_ROW_WAITING);
    c.set = JOBQ_SET_RUN_AT;
    c.run_at = from_now(STEP);
    by_its_worker(b, &c);
    ok(none_due());
    if (!b->ended) {
        tick(STEP);
        is(claim_n(ONE_OF_THEM)->attempt, 2);
    }
    ok(none_due());
    the_others_end(b, 0, !b->ended, b->ended);
}
EITHER(snoozed)

static void parked(struct batch *b)
{
    static const uint8_t secret[32] = { 7 };
    struct jobq_change c = by_token(held(b), JOBQ_OUTCOME_PARK, JOBQ_ROW_BLOCKED);
    c.reason = JOBQ_REASON_CALLBACK;
    c.set = JOBQ_SET_CALLBACK | JOBQ_SET_DEADLINE;
    c.callback_until = from_now(9 * STEP);
    memcpy(c.digest, secret, sizeof secret);
    by_its_worker(b, &c);
    struct jobq_change back = by_callback(id(ONE_OF_THEM), secret, JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED), JOBQ_ROW_WAITING);
    back.set = JOBQ_SET_DATA;
    back.data = text("d");
    is(change(&back), b->ended ? JOBQ_STALE : JOBQ_OK);
    if (b->ended)
        is(back.stale, JOBQ_STALE_DIGEST);
    else
        bytes_are(claim_n(ONE_OF_THEM)->data, text("d"));
    all_but(b, ONE_OF_THEM);
    the_others_end(b, 0, !b->ended, b->ended);
}
EITHER(parked)

/* Its lease grows by itself, and stays longer than the others'. */
static void extended(struct batch *b)
{
    struct jobq_change c = by_token(held(b), JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    struct jobq_row r = as_claimed(ONE_OF_THEM, &b->w);
    c.set = JOBQ_SET_LEASE;
    c.lease_ms = 5 * LEASE;
    int64_t from = clock_of_store();
    by_its_worker(b, &c);
    if (!b->ended) {
        ok(c.lease_until_ms >= from + 5 * LEASE && c.lease_until_ms <= clock_of_store() + 5 * LEASE);
        r.lease_until_ms = c.lease_until_ms;
        one_is(r);
        ids_are(c.row->id, id(ONE_OF_THEM));
        is(c.row->lease_until_ms, c.lease_until_ms);
        tick(2 * LEASE);
        struct jobq_want o = overdue(100);
        want(me, &o);
        is(o.row_count, MANY - 1);
        one_is(r);
        b->ended_from = clock_of_store();
        change_ok(plain_ack(held(b)));
        b->ended_to = clock_of_store();
        one_is(as_ended(ONE_OF_THEM, b));
    }
    counts("q", 0, b->ended ? 0 : MANY - 1, b->ended ? MANY : 1);
}
EITHER(extended)

static void says_how_far_it_is(struct batch *b)
{
    struct jobq_change c = by_token(held(b), JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    struct jobq_row r = as_claimed(ONE_OF_THEM, &b->w);
    c.set = JOBQ_SET_PROGRESS;
    c.progress = text("half");
    by_its_worker(b, &c);
    r.progress = text("half");
    if (!b->ended) {
        one_is(r);
        b->ended_from = clock_of_store();
        struct jobq_change *all = acks(b, 0, MANY);
        send(me, all, MANY);
        b->ended_to = clock_of_store();
        r = as_ended(ONE_OF_THEM, b);
        r.progress = text("half");
        one_is(r);
        b->ended = true;
        all_but(b, ONE_OF_THEM);
    }
    counts("q", 0, 0, MANY);
}
EITHER(says_how_far_it_is)

static void writes_a_log(struct batch *b)
{
    const struct jobq_bytes lines[] = { text("one"), text("two") };
    struct jobq_change c = by_token(held(b), JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_ADD_LOG;
    c.log = lines;
    c.log_count = 2;
    by_its_worker(b, &c);
    const struct jobq_row *r = row_n(ONE_OF_THEM);
    is(r->log_count, b->ended ? 0 : 2);
    if (!b->ended) {
        bytes_are(r->log[1].text, text("two"));
        bytes_are(r->log[1].worker, text("w"));
        is(r->log[1].attempt, 1);
        is(r->state, JOBQ_ROW_RUNNING);
        change_ok(plain_ack(held(b)));
        is(row_n(ONE_OF_THEM)->log_count, 2);
    }
    the_others_end(b, 0, 0, 1);
}
EITHER(writes_a_log)

/* A callback may come before the handler has returned. */
static void a_callback_of_what_runs(struct batch *b)
{
    static const uint8_t secret[32] = { 7 };
    struct jobq_change c = by_token(held(b), JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_CALLBACK;
    memcpy(c.digest, secret, sizeof secret);
    by_its_worker(b, &c);
    struct jobq_change back = by_callback(id(ONE_OF_THEM), secret, RUNNING, JOBQ_ROW_KEEP);
    back.set = JOBQ_SET_DATA | JOBQ_SET_RESUMED;
    back.data = text("d");
    is(change(&back), b->ended ? JOBQ_STALE : JOBQ_OK);
    is(row_n(ONE_OF_THEM)->resumed, !b->ended);
    is(row_n(ONE_OF_THEM)->edits, !b->ended);
    all_but(b, ONE_OF_THEM);
    if (!b->ended) {
        struct jobq_change early = plain_ack(held(b));
        early.edits = 0;
        is(change(&early), JOBQ_OUTDATED);
    }
    the_others_end(b, 0, !b->ended, b->ended);
}
EITHER(a_callback_of_what_runs)

/* S2: each outcome under another token. */
static void under_another_token(struct batch *b)
{
    static const int outcomes[] = { JOBQ_OUTCOME_NONE, JOBQ_OUTCOME_COMPLETE, JOBQ_OUTCOME_FAIL,
                                    JOBQ_OUTCOME_RELEASE, JOBQ_OUTCOME_SNOOZE, JOBQ_OUTCOME_PARK };
    for (size_t i = 0; i < 6; i++) {
        struct jobq_change c = by_token(held(b), outcomes[i], outcomes[i] ? JOBQ_ROW_COMPLETED : JOBQ_ROW_KEEP);
        struct jobq_row r = the_one(b);
        c.token.bytes[i < 3 ? 0 : 15] ^= 1;
        is(change(&c), JOBQ_STALE);
        is(c.stale, JOBQ_STALE_OVERTAKEN);
        one_is(r);
        r.payload = text(NULL);
        row_is(c.row, &r);
    }
    all_but(b, ONE_OF_THEM);
    the_others_end(b, 0, !b->ended, b->ended);
}
EITHER(under_another_token)

/* ---- by an operator ---------------------------------------------------------------------------------------------- */

/* Rule 6: a soft cancel is told with the next beat, and the worker's policy is computed anew. */
static void asked_to_stop(struct batch *b)
{
    struct jobq_change c = by_operator(id(ONE_OF_THEM), RUNNING, JOBQ_ROW_KEEP);
    struct jobq_row r = the_one(b);
    c.set = JOBQ_SET_CANCEL_ASKED;
    if (!by_operators(b, &c))
        return;
    r.cancel_asked = 1;
    r.edits = 1;
    one_is(r);
    struct jobq_beat beat = { .token = b->w.token, .lease_ms = LEASE };
    struct jobq_exchange x = { .beats = &beat, .beat_count = 1 };
    go(me, &x);
    is(beat.held, MANY);
    is(beat.mark_count, 1);
    ids_are(beat.marks[0].id, id(ONE_OF_THEM));
    struct jobq_change *all = acks(b, 0, MANY);
    for (size_t i = 0; i < MANY; i++)
        all[i].edits = 0;
    send(me, all, MANY);
    for (size_t i = 0; i < MANY; i++)
        is(all[i].verdict, i == ONE_OF_THEM ? JOBQ_OUTDATED : JOBQ_OK);
    is(all[ONE_OF_THEM].row->cancel_asked, 1);
    counts("q", 0, 1, MANY - 1);
}
EITHER(asked_to_stop)

static void cancelled_hard(struct batch *b)
{
    struct jobq_change c = by_operator(id(ONE_OF_THEM), LIVE, JOBQ_ROW_CANCELLED);
    struct jobq_row r = the_one(b);
    c.outcome = JOBQ_OUTCOME_VOID;
    if (!by_operators(b, &c))
        return;
    r.state = JOBQ_ROW_CANCELLED;
    r.outcome = JOBQ_OUTCOME_VOID;
    r.edits = 1;
    r.lease_until_ms = 0;
    r.finished_at_ms = row_n(ONE_OF_THEM)->finished_at_ms;
    ok(r.finished_at_ms > 0);
    one_is(r);
    struct jobq_change *all = acks(b, 0, MANY);
    send(me, all, MANY);
    for (size_t i = 0; i < MANY; i++)
        is(all[i].verdict, i == ONE_OF_THEM ? JOBQ_STALE : JOBQ_OK);
    is(all[ONE_OF_THEM].stale, JOBQ_STALE_VOID);
    is(queue_stats("q").present[JOBQ_CANCELLED], 1);
    counts("q", 0, 0, MANY - 1);
}
EITHER(cancelled_hard)

/* Payload, run_at and what else can be edited in any state. */
static void edited(struct batch *b)
{
    struct jobq_change c = by_operator(id(ONE_OF_THEM), ANY_STATE, JOBQ_ROW_KEEP);
    struct jobq_row r = the_one(b);
    c.edits = 0;
    c.set = JOBQ_SET_PAYLOAD | JOBQ_SET_RUN_AT | JOBQ_SET_ALONE | JOBQ_SET_COUNTERS;
    c.payload = text("longer");
    c.run_at = (struct jobq_time){ .base = JOBQ_TIME_ROW, .offset_ms = 77 };
    c.alone = 1;
    c.failures = 3;
    is(by_operators(b, &c), 1);
    r.payload = text("longer");
    r.payload_bytes = 6;
    r.run_at_ms += 77;
    r.alone = 1;
    r.failures = 3;
    r.edits = 1;
    one_is(r);
    the_others_end(b, 0, !b->ended, b->ended);
}
EITHER(edited)

/* A second operator that names the edits he saw. */
static void edited_twice(struct batch *b)
{
    struct jobq_change c = by_operator(id(ONE_OF_THEM), ANY_STATE, JOBQ_ROW_KEEP), second;
    c.edits = 1;
    is(change(&c), JOBQ_OUTDATED);
    is(c.row->state, b->ended ? JOBQ_ROW_COMPLETED : JOBQ_ROW_RUNNING);
    c.edits = 0;
    second = c;
    change_ok(c);
    is(change(&second), JOBQ_OUTDATED);
    is(row_n(ONE_OF_THEM)->edits, 1);
    all_but(b, ONE_OF_THEM);
    the_others_end(b, 0, !b->ended, b->ended);
}
EITHER(edited_twice)

/* As the core redrives. */
static void run_once_more(struct batch *b)
{
    struct jobq_change c = by_operator(id(ONE_OF_THEM), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING);
    struct jobq_row r = the_one(b);
    c.set = JOBQ_TAKE_KEY | JOBQ_CLEAR_CANCEL | JOBQ_SET_COUNTERS | (store_has(JOBQ_CAP_EDGES) ? JOBQ_BLOCK_AGAIN : 0u);
    c.redrives = 1;
    if (by_operators(b, &c)) {
        r.state = JOBQ_ROW_WAITING;
        r.due = 1;
        r.redrives = 1;
        r.edits = 1;
        r.finished_at_ms = 0;
        one_is(r);
        struct jobq_change late = plain_ack(held(b));
        is(change(&late), JOBQ_ALREADY);
        const struct jobq_row *again = claim_n(ONE_OF_THEM);
        is(again->attempt, 2);
        is(again->outcome, JOBQ_OUTCOME_NONE);
    }
    ok(none_due());
    the_others_end(b, 0, 1, 0);
    is(queue_stats("q").completed_total, b->ended ? MANY : MANY - 1);
}
EITHER(run_once_more)

static void dropped(struct batch *b)
{
    change_ok(by_operator(id(ONE_OF_THEM), ANY_STATE, JOBQ_ROW_GONE));
    ok(!exists(ONE_OF_THEM));
    all_but(b, ONE_OF_THEM);
    struct jobq_change late = plain_ack(held(b));
    is(change(&late), JOBQ_STALE);
    is(late.stale, JOBQ_STALE_GONE);
    struct jobq_beat beat = { .token = b->w.token, .lease_ms = LEASE };
    struct jobq_exchange x = { .beats = &beat, .beat_count = 1 };
    go(me, &x);
    is(beat.held, b->ended ? 0 : MANY - 1);
    put_many(ONE_OF_THEM, 1); /* the same id is another job now */
    waits(ONE_OF_THEM, 1);
    struct batch again = claim_many(me, 1);
    runs(&again, 0, 1);
    the_others_end(b, 0, 1, 0);
    is(queue_stats("q").enqueued_total, MANY + 1);
    is(queue_stats("q").completed_trimmed, 0);
}
EITHER(dropped)

/* What operators do to all that a filter names. */
static void all_at_once(struct batch *b, uint32_t allowed, int state)
{
    struct jobq_change c[MANY];
    for (uint32_t i = 0; i < MANY; i++) {
        c[i] = by_operator(id(i), allowed, state);
        c[i].outcome = state == JOBQ_ROW_CANCELLED ? JOBQ_OUTCOME_VOID : JOBQ_OUTCOME_NONE;
    }
    send(another(), c, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        is(c[i].verdict, JOBQ_OK);
    struct jobq_change *late = acks(b, 0, MANY);
    send(me, late, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        if (state == JOBQ_ROW_WAITING) {
            is(late[i].verdict, JOBQ_ALREADY);
        } else {
            is(late[i].verdict, JOBQ_STALE);
            is(late[i].stale, state == JOBQ_ROW_GONE ? JOBQ_STALE_GONE : JOBQ_STALE_VOID);
        }
}

static void all_dropped(struct batch *b)
{
    all_at_once(b, ANY_STATE, JOBQ_ROW_GONE);
    gone(b, 0, MANY);
    counts("q", 0, 0, 0);
    is(queue_stats("q").completed_total, b->ended ? MANY : 0);
    ok(none_due());
}
EITHER(all_dropped)

static void all_cancelled(void)
{
    struct batch b = begun(false);
    all_at_once(&b, LIVE, JOBQ_ROW_CANCELLED);
    counts("q", 0, 0, 0);
    is(queue_stats("q").present[JOBQ_CANCELLED], MANY);
    is(queue_stats("q").cancelled_total, MANY);
}

static void all_run_once_more(void)
{
    struct batch b = begun(true);
    all_at_once(&b, JOBQ_ROW_ENDED, JOBQ_ROW_WAITING);
    counts("q", MANY, 0, 0);
    struct jobq_want w = due(100);
    want(me, &w);
    is(w.row_count, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        ids_are(w.rows[i].id, id(i));
        is(w.rows[i].attempt, 2);
        is(w.rows[i].edits, 1);
    }
}

static const struct test tests[] = {
    BOTH("completed with a result (S3)", completed_with_a_result, 0),
    BOTH("failed, and again", failed_and_again, 0),
    BOTH("failed for good", failed_for_good, 0),
    BOTH("given back (rule 7)", given_back, 0),
    BOTH("snoozed", snoozed, 0),
    BOTH("parked", parked, 0),
    BOTH("extended by itself", extended, 0),
    BOTH("says how far it is", says_how_far_it_is, 0),
    BOTH("writes a log", writes_a_log, JOBQ_CAP_LOG),
    BOTH("a callback of what runs", a_callback_of_what_runs, 0),
    BOTH("under another token (S2)", under_another_token, 0),
    BOTH("asked to stop (rule 6)", asked_to_stop, 0),
    BOTH("cancelled hard (rule 6)", cancelled_hard, 0),
    BOTH("edited", edited, 0),
    BOTH("edited twice", edited_twice, 0),
    BOTH("run once more", run_once_more, 0),
    BOTH("dropped (S1)", dropped, 0),
    BOTH("all dropped", all_dropped, 0),
    ONE("all cancelled", all_cancelled, 0),
    ONE("all run once more", all_run_once_more, 0),
};
const struct topic topic_batch_touch = TOPIC("batch touch", tests);
