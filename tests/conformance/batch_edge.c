/* SPDX-License-Identifier: MIT */
/* Many plain jobs at a time, and puts that name one of them: lifecycle rules 9, 11; S11; see batch_kit.h. */
#include "batch_kit.h"

#define ONE_OF_THEM 5

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

/* S11: the id is known, and in which state it is. */
static void put_a_second_time(struct batch *b)
{
    struct jobq_put p[] = { put_of(ONE_OF_THEM), put_of(6), put_of(100) };
    p[1].payload = text("other");
    struct jobq_exchange x = { .puts = p, .put_count = 3 };
    go(another(), &x);
    for (int i = 0; i < 2; i++) {
        is(p[i].verdict, JOBQ_ALREADY);
        is(p[i].state, b->ended ? JOBQ_ROW_COMPLETED : JOBQ_ROW_RUNNING);
        is(p[i].shown, b->ended ? JOBQ_COMPLETED : JOBQ_RUNNING);
        is(p[i].same_payload, i == 0);
        ids_are(p[i].holder, id(ONE_OF_THEM + (uint32_t)i));
    }
    is(p[2].verdict, JOBQ_OK);
    claim_n(100);
    ok(none_due());
    one_is(the_one(b));
    all_but(b, ONE_OF_THEM);
}
EITHER(put_a_second_time)

/* ---- edges (rule 11) ------------------------------------------------------------------------------------------------ */

static void child_of(uint32_t child, uint32_t number, int rule)
{
    const struct jobq_parent p = { .id = id(number), .rule = rule };
    put_child(child, &p, 1);
}

/* A parent that runs holds its children; one that completed lets them go at once. */
static void becomes_a_parent(struct batch *b)
{
    child_of(100, ONE_OF_THEM, JOBQ_PARENT_FAIL);
    child_of(101, ONE_OF_THEM, JOBQ_PARENT_IGNORE);
    child_of(102, ONE_OF_THEM, JOBQ_PARENT_CANCEL);
    for (uint32_t i = 100; i < 103; i++) {
        const struct jobq_row *r = row_n(i);
        is(r->state, b->ended ? JOBQ_ROW_WAITING : JOBQ_ROW_BLOCKED);
        is(r->pending, !b->ended);
        is(r->reason, b->ended ? 0 : JOBQ_REASON_PARENTS);
    }
    one_is(the_one(b));
    all_but(b, ONE_OF_THEM);
    if (!b->ended)
        ack(b, 0, MANY);
    is_over(b, 0, MANY);
    struct jobq_want w = due(100);
    want(me, &w);
    is(w.row_count, 3);
    for (uint32_t i = 0; i < 3; i++)
        ids_are(w.rows[i].id, id(100 + i));
    counts("q", 0, 3, MANY);
}
EITHER(becomes_a_parent)

/* Children of many of them, let go by one ack and claimed in its exchange. */
static void many_become_parents(void)
{
    struct batch b = begun(false);
    struct jobq_parent all[MANY];
    for (uint32_t i = 0; i < MANY; i++)
        all[i] = (struct jobq_parent){ .id = id(i), .rule = JOBQ_PARENT_FAIL };
    put_child(100, all, MANY);
    put_child(101, all + 3, 10);
    is(row_n(100)->pending, MANY);
    struct jobq_change *c = acks(&b, 0, 20);
    struct jobq_want w = due(9);
    struct jobq_exchange x = { .changes = c, .change_count = 20, .want = &w };
    b.ended_from = clock_of_store();
    go(me, &x);
    b.ended_to = clock_of_store();
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(101));
    is(row_n(100)->pending, 4);
    is_over(&b, 0, 20);
    runs(&b, 20, 4);
    ack(&b, 20, 4);
    is(row_n(100)->state, JOBQ_ROW_WAITING);
    claim_n(100);
}

/* A parent of the same unit: claimed before, acked in front of the put. */
static void parents_acked_in_the_same_unit(void)
{
    struct batch b = begun(false);
    const struct jobq_parent p = { .id = id(ONE_OF_THEM), .rule = JOBQ_PARENT_FAIL };
    struct jobq_put child = put_of(100);
    struct jobq_want w = due(9);
    child.parents = &p;
    child.parent_count = 1;
    struct jobq_exchange x = { .changes = acks(&b, 0, MANY), .change_count = MANY, .puts = &child, .put_count = 1,
                               .want = &w };
    go(me, &x);
    is(child.verdict, JOBQ_OK);
    is(child.state, JOBQ_ROW_WAITING);
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(100));
}

/* A parent that fails leaves the child to be decided about; the others know nothing of it. */
static void a_parent_among_them_dies(void)
{
    struct batch b = begun(false);
    child_of(100, ONE_OF_THEM, JOBQ_PARENT_FAIL);
    struct jobq_change *c = acks(&b, 0, MANY);
    c[ONE_OF_THEM] = failed(held(&b), JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e");
    send(me, c, MANY);
    is(row_n(100)->state, JOBQ_ROW_BLOCKED);
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 1);
    ids_are(o.rows[0].id, id(ONE_OF_THEM));
    is(o.rows[0].overdue, JOBQ_OVERDUE_EDGES);
    is(o.rows[0].child_count, 1);
    ids_are(o.rows[0].children[0].id, id(100));
    counts("q", 1, 0, MANY - 1);
}

/* The parent is cancelled, dropped, or run again, with a child that waits for it. */
static void what_happens_to_parents(struct batch *b)
{
    child_of(100, ONE_OF_THEM, JOBQ_PARENT_FAIL);
    struct jobq_change drop = by_operator(id(ONE_OF_THEM), ANY_STATE, JOBQ_ROW_GONE);
    is(change(&drop), b->ended ? JOBQ_OK : JOBQ_STALE); /* a child waits for what runs */
    if (b->ended) {
        claim_n(100);
        ok(!exists(ONE_OF_THEM));
        all_but(b, ONE_OF_THEM);
        return;
    }
    is(drop.stale, JOBQ_STALE_STATE);
    struct jobq_change cancel = by_operator(id(ONE_OF_THEM), LIVE, JOBQ_ROW_CANCELLED);
    cancel.outcome = JOBQ_OUTCOME_VOID;
    change_ok(cancel);
    is(row_n(100)->state, JOBQ_ROW_BLOCKED);
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 1);
    is(o.rows[0].overdue, JOBQ_OVERDUE_EDGES);
    all_but(b, ONE_OF_THEM);
    change_ok(by_operator(id(ONE_OF_THEM), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING));
    change_ok(plain_ack(claim_n(ONE_OF_THEM)));
    claim_n(100);
}
EITHER(what_happens_to_parents)

/* A job with a key comes into the queue, is claimed with plain ones, and its key goes where its rule says. */
static void keys_beside_them(struct batch *b)
{
    const struct jobq_put_key key = { .scope = { 1 }, .payload_digest = { 2 }, .hold = JOBQ_HOLD_LIVE };
    struct jobq_put p = put_of(100), again = put_of(101);
    p.unique = again.unique = &key;
    put_many(110, 9);
    is(put(&p), JOBQ_OK);
    struct jobq_want w = due(100);
    want(me, &w);
    is(w.row_count, 10);
    is(put(&again), JOBQ_DUPLICATE);
    is(again.state, JOBQ_ROW_RUNNING);
    struct batch next = { .w = w };
    ack(&next, 0, 10);
    again = put_of(101);
    again.unique = &key;
    is(put(&again), JOBQ_OK);
    claim_n(101);
    all_but(b, ONE_OF_THEM);
    counts("q", 0, b->ended ? 1 : MANY + 1, b->ended ? MANY + 10 : 10);
}
EITHER(keys_beside_them)

#define EDGES JOBQ_CAP_EDGES
static const struct test tests[] = {
    BOTH("put a second time (S11)", put_a_second_time, 0),
    BOTH("becomes a parent (rule 11)", becomes_a_parent, EDGES),
    ONE("many become parents (rule 11)", many_become_parents, EDGES),
    ONE("parents acked in the same unit (rule 11)", parents_acked_in_the_same_unit, EDGES),
    ONE("a parent among them dies (rule 11)", a_parent_among_them_dies, EDGES),
    BOTH("what happens to parents (rule 11)", what_happens_to_parents, EDGES),
    BOTH("keys beside them (rule 9)", keys_beside_them, 0),
};
const struct topic topic_batch_edge = TOPIC("batch edge", tests);
