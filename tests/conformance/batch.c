/* SPDX-License-Identifier: MIT */
/* Many plain jobs at a time, their acks: lifecycle rule 2; S2, S3, S11, S16; see batch_kit.h. */
#include "batch_kit.h"

/* The life of most jobs: nothing happens to them but this. */
static void whole_life(void)
{
    struct batch b = begun(false);
    runs(&b, 0, MANY);
    ack(&b, 0, MANY);
    is_over(&b, 0, MANY);
    counts("q", 0, 0, MANY);
    struct jobq_queue_stats q = queue_stats("q");
    is(q.enqueued_total, MANY);
    is(q.completed_total, MANY);
    is(q.failed_total + q.stuck, 0);
    ok(none_due());
    is_over(&b, 0, MANY);
}

static void acks_in_slices(void)
{
    static const size_t slices[] = { 8, 7, 1, 8 };
    struct batch b = begun(false);
    size_t from = 0;
    for (size_t i = 0; i < 4; i++) {
        ack(&b, from, slices[i]);
        is_over(&b, from, slices[i]);
        from += slices[i];
        runs(&b, from, MANY - from);
        tick(1000);
    }
    counts("q", 0, 0, MANY);
    is(queue_stats("q").completed_total, MANY);
}

/* From behind, and every second one. */
static void acks_in_any_order(void)
{
    struct batch b = begun(false);
    struct jobq_change c[MANY];
    for (size_t i = 0; i < MANY; i++)
        c[i] = plain_ack(&b.w.rows[(MANY - 1 - i) * 2 % MANY + (i < MANY / 2 ? 0 : 1)]);
    b.ended_from = clock_of_store();
    send(me, c, 11);
    send(me, c + 11, MANY - 11);
    b.ended_to = clock_of_store();
    for (size_t i = 0; i < MANY; i++) {
        is(c[i].verdict, JOBQ_OK);
        is_over(&b, i, 1);
    }
    counts("q", 0, 0, MANY);
}

static void acks_of_two_batches(void)
{
    put_many(0, 32);
    struct batch a = claim_many(me, 16), b = claim_many(me, 16);
    static const size_t takes[] = { 4, 12 }; /* of each: few of each, then many */
    a.ended_from = b.ended_from = clock_of_store();
    for (size_t i = 0, from = 0; i < 2; from += takes[i++]) {
        struct jobq_change c[24];
        memcpy(c, acks(&a, from, takes[i]), takes[i] * sizeof *c);
        memcpy(c + takes[i], acks(&b, from, takes[i]), takes[i] * sizeof *c);
        send(me, c, 2 * takes[i]);
        a.ended_to = b.ended_to = clock_of_store();
        for (size_t n = 0; n < 2 * takes[i]; n++)
            is(c[n].verdict, JOBQ_OK);
        is_over(&a, from, takes[i]);
        is_over(&b, from, takes[i]);
        runs(&a, from + takes[i], 16 - from - takes[i]);
    }
    counts("q", 0, 0, 32);
}

/* S3, S11: a second time nothing happens, and it is said. */
static void the_same_ack_again(void)
{
    struct batch b = begun(true);
    struct jobq_change *again = acks(&b, 0, MANY);
    again[3].edits = 7;
    again[4].set = JOBQ_SET_RESULT;
    again[4].result = text("late");
    send(another(), again, MANY);
    for (size_t i = 0; i < MANY; i++) {
        struct jobq_row expected = as_ended((uint32_t)i, &b);
        is(again[i].verdict, JOBQ_ALREADY);
        ok(again[i].row != NULL);
        expected.payload = text(NULL);
        row_is(again[i].row, &expected);
    }
    is_over(&b, 0, MANY);
    counts("q", 0, 0, MANY);
    is(queue_stats("q").completed_total, MANY);
}

static void acks_that_overlap(void)
{
    struct batch b = begun(false);
    ack(&b, 0, 12);
    tick(1000);
    struct jobq_change *c = acks(&b, 6, 12);
    int64_t from = clock_of_store();
    send(me, c, 12);
    for (size_t i = 0; i < 12; i++)
        is(c[i].verdict, i < 6 ? JOBQ_ALREADY : JOBQ_OK);
    is_over(&b, 0, 12);
    b.ended_from = from;
    b.ended_to = clock_of_store();
    is_over(&b, 12, 6);
    runs(&b, 18, 6);
    counts("q", 0, 6, 18);
}

static void one_id_twice_in_an_exchange(void)
{
    struct batch b = begun(false);
    struct jobq_change c[20];
    memcpy(c, acks(&b, 0, 20), sizeof c);
    c[19] = c[5];
    b.ended_from = clock_of_store();
    send(me, c, 20);
    b.ended_to = clock_of_store();
    for (size_t i = 0; i < 20; i++)
        is(c[i].verdict, i == 19 ? JOBQ_ALREADY : JOBQ_OK);
    ok(c[19].row && c[19].row->state == JOBQ_ROW_COMPLETED);
    is_over(&b, 0, 19);
    runs(&b, 19, 5);
    counts("q", 0, 5, 19);
}

/* As above, several of them, and once with something else to say. */
static void some_ids_twice_in_an_exchange(void)
{
    struct batch b = begun(false);
    struct jobq_change c[32];
    for (size_t i = 0; i < 4; i++) {
        c[i] = plain_ack(&b.w.rows[20 + i]);
        c[i].edits = 0;
    }
    memcpy(c + 4, acks(&b, 0, MANY), MANY * sizeof *c);
    for (size_t i = 28; i < 32; i++)
        c[i] = plain_ack(&b.w.rows[i - 28]);
    b.ended_from = clock_of_store();
    send(me, c, 32);
    b.ended_to = clock_of_store();
    for (size_t i = 0; i < 32; i++)
        is(c[i].verdict, i < 24 ? JOBQ_OK : JOBQ_ALREADY);
    is_over(&b, 0, MANY);
    counts("q", 0, 0, MANY);
    is(queue_stats("q").completed_total, MANY);
}

/* S2: among many good tokens each wrong one is found. */
static void wrong_tokens_among_them(struct batch *b)
{
    put_many(100, 8);
    struct batch other = claim_many(me, 8);
    struct jobq_change *c = acks(b, 0, MANY);
    c[0].token.bytes[0] ^= 1;
    c[7].token.bytes[15] ^= 1;
    c[9].token = other.w.token;
    c[10].token = (struct jobq_token){ 0 };
    c[11].id = id(NUMBERS);
    c[MANY - 1].id = id(103); /* held, under another token */
    b->ended_from = b->ended ? b->ended_from : clock_of_store();
    send(me, c, MANY);
    b->ended_to = b->ended ? b->ended_to : clock_of_store();
    for (size_t i = 0; i < MANY; i++) {
        bool wrong = i == 0 || i == 7 || (i >= 9 && i <= 11) || i == MANY - 1;
        is(c[i].verdict, wrong ? JOBQ_STALE : b->ended ? JOBQ_ALREADY : JOBQ_OK);
        is(c[i].stale, i == 11 ? JOBQ_STALE_GONE : wrong ? JOBQ_STALE_OVERTAKEN : JOBQ_STALE_NONE);
        is(c[i].row != NULL, c[i].verdict != JOBQ_OK && i != 11);
        if (wrong && !b->ended && i != 11 && i != MANY - 1)
            runs(b, i, 1);
        else if (i != 11 && i != MANY - 1)
            is_over(b, i, 1);
    }
    runs(&other, 0, 8);
}
EITHER(wrong_tokens_among_them)

/* Some say which edits they know of, and nothing of a result. */
static void acks_of_two_forms(void)
{
    struct batch b = begun(false);
    struct jobq_change *c = acks(&b, 0, MANY);
    for (size_t i = 0; i < MANY; i++)
        if (i >= 12 || i % 2) {
            c[i].edits = 0;
            c[i].set = 0;
        }
    b.ended_from = clock_of_store();
    send(me, c, MANY);
    b.ended_to = clock_of_store();
    for (size_t i = 0; i < MANY; i++)
        is(c[i].verdict, JOBQ_OK);
    is_over(&b, 0, MANY);
    counts("q", 0, 0, MANY);
}

/* Every kind of outcome in one exchange; each row as its own change says. */
static void fail_some(struct jobq_change *c, const struct batch *b)
{
    c[10].set = JOBQ_SET_RESULT;
    c[10].result = text("r");
    c[11] = failed(&b->w.rows[11], JOBQ_ROW_WAITING, 0, "e");
    c[12] = failed(&b->w.rows[12], JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e");
    c[13] = by_token(&b->w.rows[13], JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING);
    c[14] = by_token(&b->w.rows[14], JOBQ_OUTCOME_SNOOZE, JOBQ_ROW_WAITING);
    c[14].set = JOBQ_SET_RUN_AT;
    c[14].run_at = from_now(STEP);
    c[15] = by_token(&b->w.rows[15], JOBQ_OUTCOME_PARK, JOBQ_ROW_BLOCKED);
    c[15].reason = JOBQ_REASON_CALLBACK;
    c[16].edits = 7;
    c[17].reason = JOBQ_REASON_EARLY_ACK;
    c[18].set = JOBQ_SET_PROGRESS;
    c[18].progress = text("100%");
    c[19].set = JOBQ_SET_COUNTERS;
    c[19].failures = 2;
    c[20] = by_token(&b->w.rows[20], JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
}

static void outcomes_of_all_kinds(void)
{
    struct batch b = begun(false);
    struct jobq_change *c = acks(&b, 0, MANY);
    fail_some(c, &b);
    b.ended_from = clock_of_store();
    send(me, c, MANY - 1);
    b.ended_to = clock_of_store();
    for (size_t i = 0; i < MANY - 1; i++)
        is(c[i].verdict, i == 16 ? JOBQ_OUTDATED : JOBQ_OK);
    is_over(&b, 0, 10);
    is_over(&b, 21, 2);
    runs(&b, 16, 1);
    runs(&b, 20, 1);
    runs(&b, MANY - 1, 1);
    struct jobq_row r = as_ended(10, &b);
    r.result = text("r");
    row_is(row_n(10), &r);
    r = as_ended(17, &b);
    r.reason = JOBQ_REASON_EARLY_ACK;
    row_is(row_n(17), &r);
    r = as_ended(18, &b);
    r.progress = text("100%");
    row_is(row_n(18), &r);
    r = as_ended(19, &b);
    r.failures = 2;
    row_is(row_n(19), &r);
    r = as_claimed(13, &b.w);
    r.state = JOBQ_ROW_WAITING;
    r.due = 1;
    r.outcome = JOBQ_OUTCOME_RELEASE;
    r.lease_until_ms = 0;
    row_is(row_n(13), &r);
    is(row_n(11)->failures, 1);
    is(row_n(11)->error_count, 1);
    is(row_n(12)->state, JOBQ_ROW_DEAD);
    is(row_n(14)->state, JOBQ_ROW_WAITING);
    is(row_n(15)->reason, JOBQ_REASON_CALLBACK);
    counts("q", 4, 3, 16);
    is(queue_stats("q").failed_total, 2);
    is(queue_stats("q").dead_total, 1);
}

/* All of them completed, none of them plainly. */
static void acks_with_something(uint32_t set, int reason)
{
    struct batch b = begun(false);
    struct jobq_change *c = acks(&b, 0, MANY);
    const struct jobq_bytes line = text("line");
    b.ended_from = clock_of_store();
    for (size_t i = 0; i < MANY; i++) {
        c[i].set = set;
        c[i].reason = reason;
        c[i].result = c[i].progress = c[i].data = text("x");
        c[i].log = &line;
        c[i].log_count = 1;
    }
    send(me, c, MANY);
    b.ended_to = clock_of_store();
    for (uint32_t i = 0; i < MANY; i++) {
        const struct jobq_row *now = row_n(i);
        struct jobq_row r = as_ended(i, &b);
        struct jobq_row_error said = { .attempt = 1, .at_ms = r.finished_at_ms, .worker = text("w"), .text = line };
        r.reason = reason;
        r.result = text(set & JOBQ_SET_RESULT ? "x" : NULL);
        r.progress = text(set & JOBQ_SET_PROGRESS ? "x" : NULL);
        r.log = set & JOBQ_ADD_LOG ? &said : NULL;
        r.log_count = set & JOBQ_ADD_LOG ? 1 : 0;
        is(c[i].verdict, JOBQ_OK);
        row_is(now, &r);
    }
}

static void acks_with_results(void)
{
    acks_with_something(JOBQ_SET_RESULT, 0);
}

static void acks_with_progress(void)
{
    acks_with_something(JOBQ_SET_PROGRESS, 0);
}

static void acks_with_log(void)
{
    acks_with_something(JOBQ_ADD_LOG, 0);
}

static void acks_with_a_reason(void)
{
    acks_with_something(0, JOBQ_REASON_EARLY_ACK);
}

/* An operator ends them: nobody's outcome, and edits tell. */
static void ended_by_an_operator(struct batch *b)
{
    struct jobq_change c[MANY];
    for (uint32_t i = 0; i < MANY; i++)
        c[i] = by_operator(id(i), JOBQ_ROW_BIT(JOBQ_ROW_RUNNING), JOBQ_ROW_COMPLETED);
    b->ended_from = b->ended ? b->ended_from : clock_of_store();
    send(me, c, MANY);
    b->ended_to = b->ended ? b->ended_to : clock_of_store();
    for (uint32_t i = 0; i < MANY; i++) {
        struct jobq_row r = as_ended(i, b);
        r.outcome = b->ended ? JOBQ_OUTCOME_COMPLETE : JOBQ_OUTCOME_NONE;
        r.edits = b->ended ? 0 : 1;
        is(c[i].verdict, b->ended ? JOBQ_STALE : JOBQ_OK);
        row_is(row_n(i), &r);
    }
    counts("q", 0, 0, MANY);
    is(queue_stats("q").completed_total, MANY);
}
EITHER(ended_by_an_operator)

/* In array order: what goes before an ack and what comes after it. */
static void between_the_acks_of_an_exchange(void)
{
    struct batch b = begun(false);
    struct jobq_change c[MANY + 4];
    c[0] = by_operator(id(3), LIVE, JOBQ_ROW_CANCELLED);
    c[0].outcome = JOBQ_OUTCOME_VOID;
    c[1] = by_operator(id(4), LIVE, JOBQ_ROW_KEEP);
    memcpy(c + 2, acks(&b, 0, MANY), MANY * sizeof *c);
    c[6].edits = 0;
    c[MANY + 2] = by_operator(id(5), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING);
    c[MANY + 3] = by_operator(id(6), JOBQ_ROW_ENDED, JOBQ_ROW_GONE);
    struct jobq_want w = due(9);
    struct jobq_exchange x = { .changes = c, .change_count = MANY + 4, .want = &w };
    b.ended_from = clock_of_store();
    go(me, &x);
    b.ended_to = clock_of_store();
    for (size_t i = 0; i < MANY + 4; i++)
        is(c[i].verdict, i == 5 ? JOBQ_STALE : i == 6 ? JOBQ_OUTDATED : JOBQ_OK);
    is(c[5].stale, JOBQ_STALE_VOID);
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(5));
    is(w.rows[0].attempt, 2);
    is(w.rows[0].edits, 1);
    is(row_n(3)->state, JOBQ_ROW_CANCELLED);
    is(row_n(4)->state, JOBQ_ROW_RUNNING);
    ok(!exists(6));
    is_over(&b, 0, 3);
    is_over(&b, 7, MANY - 7);
    counts("q", 0, 2, MANY - 4);
    is(queue_stats("q").completed_total, MANY - 2);
}

/* What is put on condition of such an ack. */
static void puts_that_depend_on_an_ack(void)
{
    struct batch b = begun(false);
    struct jobq_change *c = acks(&b, 0, 16);
    struct jobq_put p[] = { put_of(100), put_of(101), put_of(102) };
    c[9].token.bytes[0] ^= 1;
    p[0].only_if = 3;
    p[1].only_if = 9;
    p[2].only_if = 15;
    struct jobq_exchange x = { .changes = c, .change_count = 16, .puts = p, .put_count = 3 };
    go(me, &x);
    is(p[0].verdict, JOBQ_OK);
    is(p[1].verdict, JOBQ_SKIPPED);
    is(p[2].verdict, JOBQ_OK);
    runs(&b, 9, 1);
    counts("q", 2, MANY - 15, 15);
}

/* S16: a unit that is refused leaves no trace of its acks. */
static void refused_as_a_whole(struct batch *b)
{
    struct jobq_put bad = put_of(100);
    struct jobq_beat beat = { .token = b->w.token, .lease_ms = 9 * LEASE };
    struct jobq_want w = due(9);
    bad.only_if = MANY; /* there is no such change */
    struct jobq_exchange x = { .beats = &beat, .beat_count = 1, .changes = acks(b, 0, MANY), .change_count = MANY,
                               .puts = &bad, .put_count = 1, .trim = { .limit = 100 }, .want = &w };
    is(go_status(me, &x), JOBQ_FAILED);
    is(x.want_unit, JOBQ_SKIPPED);
    all_but(b, 0);
    counts("q", 0, b->ended ? 0 : MANY, b->ended ? MANY : 0);
    if (!b->ended)
        ack(b, 0, MANY);
    is_over(b, 0, MANY);
}
EITHER(refused_as_a_whole)

/* S11: acks and a claim again: no second effect, whatever has happened since. */
static void a_repeated_ack(void)
{
    struct batch b = begun(false);
    put_many(100, 30);
    struct jobq_want w = due(12);
    struct jobq_change *c = acks(&b, 0, 20);
    struct jobq_exchange x = { .changes = c, .change_count = 20, .want = &w };
    c[4].token.bytes[3] ^= 1;
    go(me, &x);
    is(w.row_count, 12);
    struct jobq_change drop[8];
    for (uint32_t i = 0; i < 8; i++)
        drop[i] = by_operator(id(8 + i), ANY_STATE, JOBQ_ROW_GONE);
    send(another(), drop, 8);
    for (size_t i = 0; i < 20; i++)
        c[i].verdict = -99;
    go(me, &x);
    for (size_t i = 0; i < 20; i++)
        is(c[i].verdict, i == 4 ? JOBQ_STALE : JOBQ_OK);
    is(w.row_count, 12);
    ids_are(w.rows[0].id, id(100));
    counts("q", 18, 4 + 1 + 12, 11);
    is(queue_stats("q").completed_total, 19);
}

/* Beside many, one at a time, for long: nothing is lost on the way. */
static void small_steps_afterwards(void)
{
    struct batch b = begun(true);
    for (uint32_t i = 0; i < 30; i++) {
        put_many(100 + i, 1);
        struct batch one = claim_many(me, 1);
        ids_are(one.w.rows[0].id, id(100 + i));
        ack(&one, 0, 1);
    }
    is_over(&b, 0, MANY);
    counts("q", 0, 0, MANY + 30);
    is(starts(100), 0);
}

static const struct test tests[] = {
    ONE("put, claimed and ended, and nothing else", whole_life, 0),
    ONE("acks in slices", acks_in_slices, 0),
    ONE("acks in any order", acks_in_any_order, 0),
    ONE("acks of two batches in one exchange", acks_of_two_batches, 0),
    ONE("the same ack again (S3, S11)", the_same_ack_again, 0),
    ONE("acks that overlap (S3)", acks_that_overlap, 0),
    ONE("one id twice in an exchange (S3)", one_id_twice_in_an_exchange, 0),
    ONE("some ids twice in an exchange (S3)", some_ids_twice_in_an_exchange, 0),
    BOTH("wrong tokens among them (S2)", wrong_tokens_among_them, 0),
    ONE("acks of two forms", acks_of_two_forms, 0),
    ONE("outcomes of all kinds in one exchange", outcomes_of_all_kinds, 0),
    ONE("acks with results", acks_with_results, 0),
    ONE("acks with progress", acks_with_progress, 0),
    ONE("acks with lines of log", acks_with_log, JOBQ_CAP_LOG),
    ONE("acks with a reason", acks_with_a_reason, 0),
    BOTH("ended by an operator", ended_by_an_operator, 0),
    ONE("between the acks of an exchange", between_the_acks_of_an_exchange, 0),
    ONE("puts that depend on an ack", puts_that_depend_on_an_ack, 0),
    BOTH("a unit that is refused (S16)", refused_as_a_whole, 0),
    ONE("a repeated ack (S11)", a_repeated_ack, 0),
    ONE("small steps afterwards", small_steps_afterwards, 0),
};
const struct topic topic_batch = TOPIC("batch", tests);
