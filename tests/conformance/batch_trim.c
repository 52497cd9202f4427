/* SPDX-License-Identifier: MIT */
/* Retention of rows that ended many at a time: lifecycle rule 14; S1; backend.h "trim"; see batch_kit.h. */
#include "batch_kit.h"

static struct jobq_trim keep(int64_t count, int64_t ms, size_t limit)
{
    struct jobq_trim t = { .limit = limit };
    for (int i = 0; i < 8; i++) {
        t.keep_count[i] = count;
        t.keep_ms[i] = i == JOBQ_KEEP_RESULTS ? -1 : ms;
    }
    return t;
}

static void end_with(struct jobq_change *changes, size_t count, struct jobq_trim t)
{
    struct jobq_exchange x = { .changes = changes, .change_count = count, .trim = t };
    go(me, &x);
    for (size_t i = 0; i < count; i++)
        is(changes[i].verdict, JOBQ_OK);
}

static void ack_with(struct batch *b, struct jobq_trim t)
{
    b->ended_from = clock_of_store();
    end_with(acks(b, 0, b->w.row_count), b->w.row_count, t);
    b->ended_to = clock_of_store();
    tick(1000); /* so that each ends at a time of its own */
}

/* So many more, put, claimed and ended. */
static struct batch ended(uint32_t first, uint32_t count, struct jobq_trim t)
{
    put_many(first, count);
    struct batch b = claim_many(me, count);
    ids_are(b.w.rows[0].id, id(first));
    ack_with(&b, t);
    return b;
}

/* By itself, and not plainly. */
static void ended_with_a_result(uint32_t number)
{
    put_many(number, 1);
    struct jobq_change c = completed(claim_n(number), "r");
    end_with(&c, 1, keep(-1, 0, 0));
    tick(1000);
}

#define KEEP_ALL keep(-1, 0, 0)

static void trimmed(uint64_t present, uint64_t removed)
{
    struct jobq_queue_stats q = queue_stats("q");
    is(q.present[JOBQ_COMPLETED], present);
    is(q.completed_trimmed, removed);
    is(q.completed_total, present + removed);
    ok(none_due());
}

static void over_the_count(void)
{
    struct batch a = ended(0, 24, KEEP_ALL), b = ended(100, 24, KEEP_ALL), c = ended(200, 24, keep(30, 0, 1000));
    gone(&a, 0, 24);
    gone(&b, 0, 18);
    is_over(&b, 18, 6);
    is_over(&c, 0, 24);
    trimmed(30, 42);
    struct batch d = ended(300, 8, keep(30, 0, 1000));
    gone(&b, 18, 6);
    gone(&c, 0, 2);
    is_over(&c, 2, 22);
    is_over(&d, 0, 8);
    trimmed(30, 50);
}

/* The count cuts through those that ended just now. */
static void over_the_count_by_themselves(void)
{
    struct batch a = ended(0, 24, keep(10, 0, 1000));
    gone(&a, 0, 14);
    is_over(&a, 14, 10);
    trimmed(10, 14);
}

static void none_are_kept(void)
{
    struct batch a = ended(0, 24, keep(0, 0, 1000));
    gone(&a, 0, 24);
    trimmed(0, 24);
    struct jobq_change *late = acks(&a, 0, 24);
    send(me, late, 24);
    for (size_t i = 0; i < 24; i++) {
        is(late[i].verdict, JOBQ_STALE);
        is(late[i].stale, JOBQ_STALE_GONE);
    }
    struct batch b = ended(100, 24, keep(0, 0, 10));
    gone(&b, 0, 10);
    is_over(&b, 10, 14);
    struct batch c = ended(200, 1, keep(0, 0, 1000));
    gone(&b, 10, 14);
    gone(&c, 0, 1);
    trimmed(0, 49);
}

/* Never more than the limit; the next exchange goes on. */
static void up_to_the_limit(void)
{
    struct batch a = ended(0, 24, KEEP_ALL), b = ended(100, 24, keep(10, 0, 5));
    gone(&a, 0, 5);
    is_over(&a, 5, 19);
    ended(200, 1, keep(10, 0, 7));
    gone(&a, 5, 7);
    is_over(&a, 12, 12);
    ended(300, 12, keep(10, 0, 13));
    gone(&a, 12, 12);
    gone(&b, 0, 1);
    is_over(&b, 1, 23);
    trimmed(36, 25);
}

/* Of one instant by id, not by arrival. */
static void of_one_instant_by_id(void)
{
    uint32_t numbers[24];
    for (uint32_t i = 0; i < 24; i++)
        numbers[i] = 63 - i;
    put_numbers(numbers, 24, "q", "k");
    struct batch a = claim_many(me, 24);
    ids_are(a.w.rows[0].id, id(63));
    ack_with(&a, keep(20, 0, 2));
    ok(!exists(40) && !exists(41) && exists(42));
    ended(100, 8, keep(20, 0, 1000));
    for (uint32_t i = 40; i < 64; i++)
        is(exists(i), i >= 52);
    is_over(&a, 0, 12);
    trimmed(20, 12);
}

/* Plain ones and others that ended in the same exchange: by id among each other. */
static void of_one_instant_with_others(void)
{
    struct batch a;
    put_many(0, 24);
    a = claim_many(me, 24);
    struct jobq_change *c = acks(&a, 0, 24);
    for (size_t i = 0; i < 24; i += 3) {
        c[i].set = JOBQ_SET_RESULT;
        c[i].result = text("r");
    }
    end_with(c, 24, keep(20, 0, 2));
    for (uint32_t i = 0; i < 24; i++)
        is(exists(i), i >= 2);
    tick(1000);
    ended(100, 8, keep(20, 0, 5));
    for (uint32_t i = 0; i < 24; i++)
        is(exists(i), i >= 7);
    ended(200, 8, keep(20, 0, 1000));
    for (uint32_t i = 0; i < 24; i++)
        is(exists(i), i >= 20);
    trimmed(20, 20);
}

/* Two batches, ended in one exchange, whose ids alternate. */
static void of_one_instant_and_two_batches(void)
{
    uint32_t even[12], odd[12];
    struct jobq_change c[24];
    for (uint32_t i = 0; i < 12; i++) {
        even[i] = 2 * i;
        odd[i] = 2 * i + 1;
    }
    put_numbers(even, 12, "q", "k");
    struct batch a = claim_many(me, 12);
    put_numbers(odd, 12, "q", "k");
    struct batch b = claim_many(me, 12);
    memcpy(c, acks(&b, 0, 12), 12 * sizeof *c);
    memcpy(c + 12, acks(&a, 0, 12), 12 * sizeof *c);
    end_with(c, 24, keep(15, 0, 1000));
    for (uint32_t i = 0; i < 24; i++)
        is(exists(i), i >= 9);
    tick(1000);
    ended(100, 10, keep(15, 0, 1000));
    for (uint32_t i = 0; i < 24; i++)
        is(exists(i), i >= 19);
    trimmed(15, 19);
}

static void over_the_age(void)
{
    struct batch a = ended(0, 24, KEEP_ALL);
    tick(STEP);
    struct batch b = ended(100, 24, keep(-1, 2 * STEP, 1000));
    is_over(&a, 0, 24);
    tick(STEP);
    struct batch c = ended(200, 8, keep(-1, 2 * STEP, 9));
    gone(&a, 0, 9);
    is_over(&a, 9, 15);
    ended(300, 1, keep(-1, 2 * STEP, 1000));
    gone(&a, 9, 15);
    is_over(&b, 0, 24);
    tick(STEP);
    ended(400, 1, keep(-1, 2 * STEP, 1000));
    gone(&b, 0, 24);
    is_over(&c, 0, 8);
    trimmed(10, 48);
}

/* Either suffices. */
static void over_the_count_or_the_age(void)
{
    struct batch a = ended(0, 24, KEEP_ALL);
    tick(2 * STEP);
    struct batch b = ended(100, 24, KEEP_ALL), c = ended(200, 8, keep(20, STEP, 1000));
    gone(&a, 0, 24); /* too old, and too many */
    gone(&b, 0, 12); /* too many */
    is_over(&b, 12, 12);
    tick(2 * STEP);
    struct batch d = ended(300, 8, keep(20, STEP, 1000));
    gone(&b, 12, 12); /* too old */
    gone(&c, 0, 8);
    is_over(&d, 0, 8);
    trimmed(8, 56);
}

/* By the time at which each ended, whatever else it has. */
static void others_between(void)
{
    ended_with_a_result(1000);
    struct batch a = ended(0, 10, KEEP_ALL);
    ended_with_a_result(1001);
    ended_with_a_result(1002);
    struct batch b = ended(100, 10, KEEP_ALL);
    ended_with_a_result(1003);
    ended(200, 1, keep(15, 0, 4)); /* 1000, and three of the first ten */
    ok(!exists(1000));
    gone(&a, 0, 3);
    is_over(&a, 3, 7);
    ended(201, 1, keep(15, 0, 1000)); /* the rest of the ten */
    gone(&a, 3, 7);
    ok(exists(1001));
    is_over(&b, 0, 10);
    ended(202, 1, keep(10, 0, 1000));
    ok(!exists(1001) && !exists(1002) && exists(1003));
    gone(&b, 0, 4);
    is_over(&b, 4, 6);
    trimmed(10, 17);
}

/* Only the state that rows ended in; each state has its own count. */
static void other_states_between(void)
{
    struct batch a = ended(0, 12, KEEP_ALL);
    put_many(100, 24);
    struct batch b = claim_many(me, 24);
    struct jobq_change *c = acks(&b, 0, 24);
    for (size_t i = 0; i < 12; i++)
        c[i] = i < 6 ? failed(&b.w.rows[i], JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e")
                     : by_token(&b.w.rows[i], JOBQ_OUTCOME_FAIL, JOBQ_ROW_CANCELLED);
    end_with(c, 24, keep(5, 0, 1000));
    gone(&a, 0, 12);
    for (uint32_t i = 0; i < 24; i++)
        is(exists(100 + i), i == 0 ? 0 : i < 6 ? 1 : i < 7 ? 0 : i < 12 ? 1 : i >= 19);
    put_many(200, 1);
    struct jobq_change dead = by_operator(id(200), LIVE, JOBQ_ROW_DEAD);
    end_with(&dead, 1, keep(0, 0, 1000));
    is(queue_stats("q").dead_trimmed, 7);
    is(queue_stats("q").cancelled_trimmed, 1);
    trimmed(5, 19); /* as they were */
}

/* A unit that ended nothing removes nothing. */
static void only_when_something_ended(void)
{
    struct batch a = ended(0, 24, KEEP_ALL);
    put_many(100, 24);
    struct batch b = claim_many(me, 24);
    struct jobq_change *again = acks(&a, 0, 24);
    struct jobq_beat back = { .token = b.w.token, .flags = JOBQ_BEAT_RELEASE };
    struct jobq_exchange x = { .beats = &back, .beat_count = 1, .changes = again, .change_count = 24,
                               .trim = keep(0, 1, 1000) };
    go(me, &x);
    is(back.held, 24);
    is(again[23].verdict, JOBQ_ALREADY);
    is_over(&a, 0, 24);
    counts("q", 24, 0, 24);
}

static void keep_in(const char *queue, int64_t count, int64_t ms)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_KEEP,
                               .name = text(queue) };
    for (int i = 0; i < 8; i++) {
        s.keep_count[i] = count;
        s.keep_ms[i] = i == JOBQ_KEEP_RESULTS ? -1 : ms;
    }
    is(configure(&s), JOBQ_OK);
}

/* Two queues, ended by the acks of one token, each by what holds for it. */
static void each_queue_by_its_own(void)
{
    const struct jobq_bytes named[] = { text("q"), text("r") };
    uint32_t numbers[24];
    struct batch b[2];
    keep_in("q", 5, -1);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 24; i++)
            numbers[i] = 100 * round + i;
        put_numbers(numbers, 12, "q", "k");
        put_numbers(numbers + 12, 12, "r", "k");
        struct jobq_want w = due(24);
        w.queues = named;
        w.queue_count = 2;
        b[round] = claim_as(me, w, 24);
        ack_with(&b[round], keep(20, 0, 1000));
    }
    gone(&b[0], 0, 12);
    gone(&b[0], 12, 4);
    is_over(&b[0], 16, 8);
    gone(&b[1], 0, 7);
    is_over(&b[1], 7, 17);
    is(queue_stats("r").completed_trimmed, 4);
    trimmed(5, 19);
    keep_in("q", -1, STEP);
    tick(2 * STEP);
    ended(200, 8, keep(0, 1, 1000));
    gone(&b[1], 7, 5);
    is_over(&b[1], 12, 12); /* of the other queue */
    trimmed(8, 24);
}

/* Who was run again, dropped, or edited since has left the order, or keeps his place in it. */
static void touched_since(void)
{
    struct batch a = ended(0, 24, KEEP_ALL);
    change_ok(by_operator(id(5), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING));
    change_ok(by_operator(id(6), ANY_STATE, JOBQ_ROW_GONE));
    struct jobq_change edit = by_operator(id(7), ANY_STATE, JOBQ_ROW_KEEP);
    edit.set = JOBQ_SET_PAYLOAD;
    edit.payload = text("edited");
    change_ok(edit);
    edit.id = id(20);
    change_ok(edit);
    put_many(100, 1);
    struct jobq_change other = plain_ack(claim_n(5)), c = plain_ack(claim_n(100));
    end_with(&c, 1, keep(12, 0, 7)); /* 22 of the batch, and this one */
    gone(&a, 0, 5);
    gone(&a, 6, 3);
    ok(exists(9));
    end_with(&other, 1, keep(12, 0, 1000));
    gone(&a, 9, 5);
    ok(exists(5) && exists(100) && exists(14) && exists(20));
    bytes_are(row_n(20)->payload, text("edited"));
    is_over(&a, 14, 6);
    is_over(&a, 21, 3);
    is(queue_stats("q").completed_trimmed, 12);
    counts("q", 0, 0, 12);
}

/* S11: said again it removes no more. */
static void said_again(void)
{
    put_many(0, 24);
    struct batch a = claim_many(me, 24);
    struct jobq_change *c = acks(&a, 0, 24);
    struct jobq_exchange x = { .changes = c, .change_count = 24, .trim = keep(20, 0, 3) };
    for (int i = 0; i < 2; i++) {
        go(me, &x);
        for (size_t n = 0; n < 24; n++)
            is(c[n].verdict, JOBQ_OK);
        gone(&a, 0, 3);
        ok(exists(3));
    }
    trimmed(21, 3);
}

/* In an exchange that claims as well a store may leave some over; never too few, and no more than it says. */
static void slack_of_a_claim(void)
{
    struct batch held = { .ended = false };
    for (uint32_t round = 0; round < 5; round++) {
        struct batch next = { .w = due(16) };
        put_many(round * 16, 16);
        struct jobq_trim t = keep(20, 0, 1000);
        t.slack_part = 4;
        t.slack_most = 8;
        struct jobq_exchange x = { .changes = acks(&held, 0, held.w.row_count), .change_count = held.w.row_count,
                                   .trim = t, .want = &next.w };
        go(me, &x);
        is(next.w.row_count, 16);
        uint64_t kept = queue_stats("q").present[JOBQ_COMPLETED];
        ok(kept >= (round < 2 ? round * 16 : 20) && kept <= 25);
        held = next;
    }
    ack_with(&held, keep(20, 0, 1000));
    for (uint32_t i = 0; i < 80; i++)
        is(exists(i), i >= 60);
    trimmed(20, 60);
}

static bool has_result(uint32_t number)
{
    return row_n(number)->result.data != NULL;
}

/* A plain row has no result, and is looked at all the same. */
static void results_behind_them(void)
{
    struct jobq_trim ten = keep(-1, -1, 10);
    ten.keep_ms[JOBQ_KEEP_RESULTS] = STEP;
    struct batch a = ended(0, 24, KEEP_ALL);
    ended_with_a_result(100);
    ended_with_a_result(101);
    tick(2 * STEP);
    ended(200, 1, ten);
    ended(201, 1, ten);
    ok(has_result(100) && has_result(101));
    ended(202, 1, ten);
    ok(!has_result(100) && !has_result(101));
    is_over(&a, 0, 24);
    trimmed(29, 0);
}

/* A result given by an edit to one that had none is found too, once the look begins anew. */
static void results_between_them(void)
{
    struct jobq_trim t = keep(-1, -1, 100);
    t.keep_ms[JOBQ_KEEP_RESULTS] = STEP;
    put_many(0, 24);
    struct batch a = claim_many(me, 24);
    struct jobq_change *c = acks(&a, 0, 24);
    c[9].set = JOBQ_SET_RESULT;
    c[9].result = text("r");
    a.ended_from = clock_of_store();
    end_with(c, 24, KEEP_ALL);
    a.ended_to = clock_of_store();
    tick(2 * STEP);
    ok(has_result(9));
    ended(100, 8, t);
    ok(!has_result(9));
    is_over(&a, 0, 24);
    ended(200, 8, keep(20, 0, 1000));
    gone(&a, 0, 20);
    is_over(&a, 20, 4);
}

/* More than anybody should keep beside the rows. */
static void thousands(void)
{
    enum { STEPS = 9, EACH = 500, ALL = STEPS * EACH };
    struct batch b[STEPS];
    for (uint32_t i = 0; i < STEPS; i++)
        b[i] = ended(i * EACH, EACH, keep(100000, 0, 1000));
    trimmed(ALL, 0);
    for (size_t i = 0; i < STEPS; i++) {
        is_over(&b[i], 0, 2);
        is_over(&b[i], EACH - 2, 2);
    }
    change_ok(by_operator(id(7), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING));
    change_ok(by_operator(id(7), LIVE, JOBQ_ROW_GONE));
    struct batch last = ended(ALL, 8, keep(1508, 0, 1000)); /* 4507 rows: 2999 over, a thousand at once */
    for (uint32_t i = 0; i < 3; i++)
        ended(ALL + 10 + i, 1, keep(1508, 0, 1000));
    gone(&b[5], EACH - 2, 2);
    gone(&b[6], 0, 3);
    is_over(&b[6], 3, 10);
    is_over(&last, 0, 8);
    is(queue_stats("q").present[JOBQ_COMPLETED], 1508);
    is(queue_stats("q").completed_trimmed, 3002);
    for (uint32_t i = 0; i < 2; i++)
        ended(ALL + 20 + i, 1, keep(0, 0, 1000));
    counts("q", 0, 0, 0);
    is(queue_stats("q").completed_trimmed, ALL - 1 + 8 + 3 + 2);
}

#define RESULTS JOBQ_CAP_RESULTS
static const struct test tests[] = {
    ONE("over the count", over_the_count, 0),
    ONE("over the count by themselves", over_the_count_by_themselves, 0),
    ONE("none are kept", none_are_kept, 0),
    ONE("up to the limit", up_to_the_limit, 0),
    ONE_BY_RANK("of one instant: by id", of_one_instant_by_id, 0),
    ONE("of one instant: plain ones and others", of_one_instant_with_others, 0),
    ONE("of one instant: two batches", of_one_instant_and_two_batches, 0),
    ONE("over the age", over_the_age, 0),
    ONE("over the count or the age", over_the_count_or_the_age, 0),
    ONE("others between", others_between, 0),
    ONE("other states between", other_states_between, 0),
    ONE("only when something ended", only_when_something_ended, 0),
    ONE("each queue by its own", each_queue_by_its_own, 0),
    ONE("touched since", touched_since, 0),
    ONE("said again (S11)", said_again, 0),
    ONE("slack of a claim", slack_of_a_claim, 0),
    ONE("results behind them", results_behind_them, RESULTS),
    ONE("results between them", results_between_them, RESULTS),
    { .name = "thousands", .run = thousands, .flags = PLAIN_ONLY },
};
const struct topic topic_batch_trim = TOPIC("batch trim", tests);
