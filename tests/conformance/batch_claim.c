/* SPDX-License-Identifier: MIT */
/* Many plain jobs at a time, their claims: lifecycle rules 1, 10; S4, S5, S11; see batch_kit.h. */
#include "batch_kit.h"

/* S4: what one has nobody gets, however he asks; and what ended does not come back. */
static void nobody_gets(const struct batch *b, size_t left)
{
    static const size_t limits[] = { 1, 7, 8, 9, 100 };
    const struct jobq_bytes kind = text("k");
    for (size_t i = 0; i < 5; i++) {
        struct jobq_want alone = due(1), of_kind = due(limits[i]);
        alone.mode = JOBQ_WANT_ALONE;
        of_kind.kinds = &kind;
        of_kind.kind_count = 1;
        want(me, &alone);
        is(alone.row_count, 0);
        if (left)
            continue;
        want(me, &of_kind);
        is(of_kind.row_count, 0);
        is(starts(limits[i]), 0);
    }
    all_but(b, 0);
}

static void nobody_else_gets_them(struct batch *b)
{
    nobody_gets(b, 0);
    put_many(100, 3);
    nobody_gets(b, 3);
    struct batch rest = claim_as(me, due(100), 3);
    ids_are(rest.w.rows[0].id, id(100));
    nobody_gets(b, 0);
}
EITHER(nobody_else_gets_them)

/* One row at a time, behind those that others hold. */
static void one_at_a_time_behind_them(struct batch *b)
{
    put_many(100, 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct batch one = claim_many(me, 1);
        ids_are(one.w.rows[0].id, id(100 + i));
        ack(&one, 0, 1);
        is_over(&one, 0, 1);
    }
    ok(none_due());
    all_but(b, 0);
}
EITHER(one_at_a_time_behind_them)

/* L4: in order of arrival, whatever the sizes. */
static void claims_of_all_sizes(void)
{
    static const size_t sizes[] = { 8, 7, 1, 9, 16, 8, 1 };
    struct batch b[7];
    uint32_t next = 0;
    put_many(0, 50);
    for (size_t i = 0; i < 7; i++) {
        b[i] = claim_many(me, sizes[i]);
        for (size_t n = 0; n < sizes[i]; n++)
            ids_are(b[i].w.rows[n].id, id(next++));
    }
    is(next, 50);
    is(starts(9), 0);
    for (size_t i = 7; i-- > 0;)
        ack(&b[i], 0, sizes[i]);
    for (size_t i = 0; i < 7; i++)
        is_over(&b[i], 0, sizes[i]);
    counts("q", 0, 0, 50);
}

/* The last claim takes what is there. */
static void fewer_than_wanted(void)
{
    put_many(0, 29);
    struct batch b = claim_many(me, 20), rest = claim_as(me, due(20), 9);
    is(rest.w.more, 0);
    ids_are(rest.w.rows[8].id, id(28));
    ack(&b, 0, 20);
    ack(&rest, 0, 9);
    is_over(&b, 0, 20);
    is_over(&rest, 0, 9);
}

/* Plain and other jobs under one token, each as it has to be. */
static struct jobq_put special(uint32_t number)
{
    static const struct jobq_put_key key = { .scope = { 1 }, .hold = JOBQ_HOLD_WAITING };
    struct jobq_put p = put_of(number);
    switch (number) {
    case 3:
        p.timeout_ms = LEASE / 2;
        break;
    case 7:
        p.unique = &key;
        p.key = text("key");
        break;
    case 11:
        p.policy = text("policy");
        p.trace = text("trace");
        break;
    case 15:
        p.expires_at = from_now(STEP);
        break;
    case 19:
        p.priority = 5;
        p.payload = text("0123456789");
        break;
    default:
        break;
    }
    return p;
}

static struct jobq_row special_row(uint32_t number, const struct jobq_want *w, int64_t put_ms)
{
    struct jobq_put p = special(number);
    struct jobq_row r = as_claimed(0, w);
    r.id = id(number);
    r.payload = p.payload;
    r.payload_bytes = p.payload.size;
    r.policy = p.policy;
    r.trace = p.trace;
    r.key = p.key;
    r.priority = p.priority;
    r.timeout_ms = p.timeout_ms;
    r.created_at_ms = r.run_at_ms = put_ms;
    r.expires_at_ms = p.expires_at.base ? put_ms + STEP : 0;
    if (p.timeout_ms)
        r.stop_at_ms = r.lease_until_ms = r.started_at_ms + p.timeout_ms;
    return r;
}

static void others_among_them(void)
{
    struct jobq_put p[MANY];
    put_many(0, 1);
    for (uint32_t i = 1; i < MANY; i++)
        p[i] = special(i);
    struct jobq_exchange x = { .puts = p + 1, .put_count = MANY - 1 };
    go(me, &x);
    int64_t put_ms = row_n(1)->created_at_ms;
    struct batch b = { .w = due(MANY) };
    want(me, &b.w);
    is(b.w.row_count, MANY);
    for (uint32_t i = 1; i < MANY; i++) {
        struct jobq_row r = special_row(i, &b.w, put_ms);
        row_is(&b.w.rows[i], &r);
        row_is(row_n(i), &r);
    }
    struct jobq_put again = special(7);
    again.id = id(77);
    is(put(&again), JOBQ_OK); /* its key was let go by the claim */
    ack(&b, 0, MANY);
    for (uint32_t i = 1; i < MANY; i++) {
        struct jobq_row r = special_row(i, &b.w, put_ms);
        r.state = JOBQ_ROW_COMPLETED;
        r.outcome = JOBQ_OUTCOME_COMPLETE;
        r.finished_at_ms = row_n(0)->finished_at_ms;
        r.stop_at_ms = r.lease_until_ms = 0;
        row_is(row_n(i), &r);
    }
    counts("q", 1, 0, MANY);
}

/* L4: who comes later may go before, among the rest. */
static void ranks_between(struct batch *b)
{
    put_many(100, 10);
    struct jobq_put early = put_of(200), late = put_of(201);
    early.rank_add_ms = -STEP;
    late.rank_add_ms = STEP;
    is(put(&late), JOBQ_OK);
    is(put(&early), JOBQ_OK);
    put_many(110, 3);
    claim_n(200);
    struct batch next = claim_many(me, 13);
    for (uint32_t i = 0; i < 13; i++)
        ids_are(next.w.rows[i].id, id(100 + i));
    claim_n(201);
    all_but(b, 0);
}
EITHER(ranks_between)

/* Those whose time comes later stand before rows that came earlier. */
static void delayed_ones_between(struct batch *b)
{
    struct jobq_put p[10];
    for (uint32_t i = 0; i < 10; i++) {
        p[i] = put_of(200 + i);
        p[i].run_at = from_now(STEP + i);
    }
    struct jobq_exchange x = { .puts = p, .put_count = 10 };
    go(me, &x);
    is(starts(100), 0);
    tick(2 * STEP);
    put_many(100, 10);
    struct jobq_want w = due(15);
    want(me, &w);
    is(w.row_count, 15);
    for (uint32_t i = 0; i < 15; i++)
        ids_are(w.rows[i].id, id(i < 10 ? 200 + i : 90 + i));
    is(starts(100), 5);
    all_but(b, 0);
}
EITHER(delayed_ones_between)

/* Those marked alone are passed by, and taken one by one. */
static void alone_ones_between(struct batch *b)
{
    put_many(100, 12);
    struct jobq_change c = by_operator(id(104), ANY_STATE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_ALONE;
    c.alone = 1;
    change_ok(c);
    struct batch next = claim_as(me, due(100), 11);
    for (uint32_t i = 0; i < 11; i++)
        ids_are(next.w.rows[i].id, id(i < 4 ? 100 + i : 101 + i));
    struct jobq_want w = due(9);
    w.mode = JOBQ_WANT_ALONE;
    want(me, &w);
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(104));
    is(w.rows[0].ran_alone, 1);
    ack(&next, 0, 11);
    is_over(&next, 0, 11);
    all_but(b, 0);
}
EITHER(alone_ones_between)

/* A claim by kinds leaves holes; the others come in their order. */
static void of_one_kind(void)
{
    static const char *const kinds[] = { "a", "b" };
    const struct jobq_bytes a = text("a"), b = text("b");
    for (uint32_t i = 0; i < 30; i++)
        put_numbers(&i, 1, "q", kinds[i % 2]);
    struct jobq_want of_a = due(10), of_b = due(100);
    of_a.kinds = &a;
    of_b.kinds = &b;
    of_a.kind_count = of_b.kind_count = 1;
    struct batch first = claim_as(me, of_a, 10);
    for (uint32_t i = 0; i < 10; i++)
        ids_are(first.w.rows[i].id, id(2 * i));
    is(stats_of(bytes(NULL, 0)).kind_count, 2);
    struct batch second = claim_many(me, 12);
    for (uint32_t i = 0; i < 12; i++)
        ids_are(second.w.rows[i].id, id(i < 10 ? 2 * i + 1 : 10 + i));
    ack(&first, 0, 10);
    struct batch third = claim_as(me, of_b, 4);
    ids_are(third.w.rows[0].id, id(23));
    struct batch fourth = claim_as(me, due(9), 4);
    ids_are(fourth.w.rows[3].id, id(28));
    is_over(&first, 0, 10);
    runs(&second, 0, 12);
    runs(&third, 0, 4);
    is(starts(1), 0);
}

/* One token for rows of several queues: many of each, few of each, many and few. */
static void from_several_queues(void)
{
    static const uint32_t takes[][2] = { { 12, 12 }, { 5, 5 }, { 10, 3 } };
    const struct jobq_bytes named[] = { text("q"), text("r") };
    struct batch b[3];
    uint32_t total[] = { 0, 0 };
    for (size_t i = 0; i < 3; i++) {
        uint32_t numbers[24];
        for (uint32_t n = 0; n < 24; n++)
            numbers[n] = (uint32_t)i * 100 + n;
        put_numbers(numbers, takes[i][0], "q", "k");
        put_numbers(numbers + takes[i][0], takes[i][1], "r", "k");
        struct jobq_want w = due(100);
        w.queues = named;
        w.queue_count = 2;
        b[i] = claim_as(me, w, takes[i][0] + takes[i][1]);
        for (size_t n = 0; n < b[i].w.row_count; n++)
            ids_are(b[i].w.rows[n].id, id(numbers[n]));
        total[0] += takes[i][0];
        total[1] += takes[i][1];
    }
    counts("q", 0, total[0], 0);
    counts("r", 0, total[1], 0);
    for (size_t i = 0; i < 3; i++) {
        ack(&b[i], 0, b[i].w.row_count);
        is_over(&b[i], 0, b[i].w.row_count);
    }
    counts("q", 0, 0, total[0]);
    counts("r", 0, 0, total[1]);
    is(starts(1), 0);
}

/* Contract "Bounds": it claims no more than it gives. */
static void bytes_of_a_claim(struct batch *b)
{
    put_many(100, 20);
    struct jobq_want w = due(100);
    w.bytes = 9; /* of a byte each */
    struct batch some = claim_as(me, w, 9);
    is(some.w.more, 1);
    waits(109, 11);
    w.mint[0] = 0;
    w.bytes = 100;
    struct batch rest = claim_as(me, w, 11);
    ids_are(rest.w.rows[0].id, id(109));
    runs(&some, 0, 9);
    all_but(b, 0);
}
EITHER(bytes_of_a_claim)

/* Rule 10: a pause holds for the next claim; what runs may end. */
static void paused_with_them(struct batch *b)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_PAUSED,
                               .name = text("q"), .paused = 1 };
    put_many(100, 10);
    is(configure(&s), JOBQ_OK);
    is(starts(100), 0);
    waits(100, 10);
    all_but(b, 0);
    if (!b->ended)
        ack(b, 0, MANY);
    is_over(b, 0, MANY);
    s.paused = 0;
    is(configure(&s), JOBQ_OK);
    struct batch next = claim_as(me, due(100), 10);
    runs(&next, 0, 10);
}
EITHER(paused_with_them)

/* Put, claimed and ended within exchanges that do all three. */
static void in_one_exchange(void)
{
    struct batch b = { .ended = false };
    int64_t before = clock_of_store();
    for (uint32_t round = 0; round < 3; round++) {
        struct jobq_put p[16];
        struct batch next = { .w = due(100) };
        size_t held = b.w.row_count;
        for (uint32_t i = 0; i < 16; i++)
            p[i] = put_of(round * 16 + i);
        struct jobq_change *c = acks(&b, 0, held);
        struct jobq_beat beat = { .token = b.w.token, .lease_ms = LEASE };
        struct jobq_exchange x = { .beats = &beat, .beat_count = held > 0, .changes = c, .change_count = held,
                                   .puts = p, .put_count = 16, .want = &next.w };
        go(me, &x);
        is(beat.held, held);
        is(next.w.row_count, 16);
        for (uint32_t i = 0; i < 16; i++) {
            ids_are(next.w.rows[i].id, p[i].id);
            is(next.w.rows[i].attempt, 1);
            if (i < held)
                is(c[i].verdict, JOBQ_OK);
        }
        b = next;
    }
    for (uint32_t i = 0; i < 32; i++) {
        const struct jobq_row *r = row_n(i);
        is(r->state, JOBQ_ROW_COMPLETED);
        ok(r->finished_at_ms >= before && r->finished_at_ms <= me->now && r->lease_until_ms == 0);
    }
    counts("q", 0, 16, 32);
}

/* ---- several clients ------------------------------------------------------------------------------------------------ */

/* S4: two handles take turns; either may end what the other took. */
static void two_clients(void)
{
    struct actor *you = another();
    put_many(0, 60);
    struct batch a = claim_many(me, 10), b = claim_many(you, 10), c = claim_many(me, 1), d = claim_many(you, 20);
    ids_are(b.w.rows[0].id, id(10));
    ids_are(d.w.rows[0].id, id(21));
    struct jobq_change *yours = acks(&b, 0, 10), *mine = acks(&a, 0, 8);
    send(me, yours, 10);
    send(you, mine, 8);
    for (size_t i = 0; i < 8; i++)
        ok(yours[i].verdict == JOBQ_OK && mine[i].verdict == JOBQ_OK);
    struct batch e = claim_many(you, 9), f = claim_as(me, due(100), 10);
    ids_are(f.w.rows[0].id, id(50));
    runs(&a, 8, 2);
    runs(&c, 0, 1);
    runs(&d, 0, 20);
    runs(&e, 0, 9);
    runs(&f, 0, 10);
    counts("q", 0, 42, 18);
    is(starts(9), 0);
}

/* A handle that knew nothing of them. */
static void seen_by_a_new_handle(struct batch *b)
{
    struct actor *you = another();
    struct jobq_want w = due(100);
    want(you, &w);
    is(w.row_count, 0);
    put_many(100, 9);
    w = due(100);
    want(you, &w);
    is(w.row_count, 9);
    struct jobq_change *c = acks(b, 0, MANY);
    b->ended_from = b->ended ? b->ended_from : clock_of_store();
    send(another(), c, MANY);
    b->ended_to = b->ended ? b->ended_to : clock_of_store();
    for (size_t i = 0; i < MANY; i++)
        is(c[i].verdict, b->ended ? JOBQ_ALREADY : JOBQ_OK);
    is_over(b, 0, MANY);
}
EITHER(seen_by_a_new_handle)

/* S11: the claim again takes no others and gives what is still held. */
static void a_repeated_claim(void)
{
    put_many(0, 40);
    struct batch b = { .w = due(16) };
    struct jobq_exchange x = { .want = &b.w };
    go(me, &x);
    for (int round = 0; round < 2; round++) {
        is(b.w.row_count, 16);
        runs(&b, 0, 16);
        for (uint32_t i = 0; i < 16; i++) {
            struct jobq_row r = as_claimed(i, &b.w);
            row_is(&b.w.rows[i], &r);
        }
        tick(LEASE / 4);
        go(me, &x);
    }
    struct jobq_change *c = acks(&b, 2, 9);
    struct actor *you = another();
    send(you, c, 9);
    struct jobq_change cancel = by_operator(id(0), LIVE, JOBQ_ROW_CANCELLED);
    cancel.outcome = JOBQ_OUTCOME_VOID;
    send(you, &cancel, 1);
    go(me, &x);
    is(b.w.row_count, 6);
    for (uint32_t i = 0; i < 6; i++)
        ids_are(b.w.rows[i].id, id(i ? 10 + i : 1));
    counts("q", 24, 6, 9);
}

/* S11: in the order of the first time, whatever has been done to some of them since. */
static void a_repeated_claim_of_some_that_were_touched(void)
{
    put_many(0, 40);
    struct batch b = { .w = due(16) };
    struct jobq_exchange x = { .want = &b.w };
    go(me, &x);
    struct jobq_change c[] = { by_operator(id(3), ANY_STATE, JOBQ_ROW_KEEP),
                               by_token(&b.w.rows[9], JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP) };
    c[1].set = JOBQ_SET_PROGRESS;
    c[1].progress = text("half");
    send(another(), c, 2);
    go(me, &x);
    is(b.w.row_count, 16);
    for (uint32_t i = 0; i < 16; i++)
        ids_are(b.w.rows[i].id, id(i));
    is(b.w.rows[3].edits, 1);
}

static const struct test tests[] = {
    BOTH("nobody else gets them (S4)", nobody_else_gets_them, 0),
    BOTH("one at a time behind them", one_at_a_time_behind_them, 0),
    ONE("claims of all sizes (L4)", claims_of_all_sizes, 0),
    ONE("fewer than were wanted", fewer_than_wanted, 0),
    ONE_BY_RANK("others among them", others_among_them, 0),
    BOTH_BY_RANK("ranks between (L4)", ranks_between, 0),
    BOTH_BY_RANK("delayed ones between", delayed_ones_between, 0),
    BOTH("alone ones between", alone_ones_between, 0),
    ONE("of one kind", of_one_kind, 0),
    ONE("from several queues", from_several_queues, 0),
    BOTH("bytes of a claim", bytes_of_a_claim, 0),
    BOTH("a pause (rule 10)", paused_with_them, 0),
    ONE("put, claimed and ended in one exchange", in_one_exchange, 0),
    ONE("two clients (S4)", two_clients, 0),
    BOTH("a handle that is new", seen_by_a_new_handle, 0),
    ONE("a repeated claim (S11)", a_repeated_claim, 0),
    ONE("a repeated claim of some that were touched (S11)", a_repeated_claim_of_some_that_were_touched, 0),
};
const struct topic topic_batch_claim = TOPIC("batch claim", tests);
