/* SPDX-License-Identifier: MIT */
/* Dependencies: lifecycle rule 11; contract "Dependencies". */
#include "suite.h"

#define BLOCKED JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED)

static struct jobq_parent parent(uint32_t number, int rule)
{
    return (struct jobq_parent){ .id = id(number), .rule = rule };
}

static void child_of(uint32_t child, uint32_t number, int rule)
{
    const struct jobq_parent p = parent(number, rule);
    put_child(child, &p, 1);
}

static struct jobq_want sweep(size_t limit)
{
    struct jobq_want o = overdue(limit);
    want(me, &o);
    return o;
}

/* What policy decides about a child whose parent died. */
static struct jobq_change orphan(uint32_t number, int state)
{
    struct jobq_change c = by_operator(id(number), BLOCKED, state);
    c.reason = JOBQ_REASON_DEPENDENCY;
    return c;
}

static void waits_for_all(void)
{
    put_ok(1);
    put_ok(2);
    const struct jobq_parent both[] = { parent(1, JOBQ_PARENT_FAIL), parent(2, JOBQ_PARENT_FAIL) };
    put_child(3, both, 2);
    const struct jobq_row *r = row_n(3);
    is(r->state, JOBQ_ROW_BLOCKED);
    is(r->reason, JOBQ_REASON_PARENTS);
    is(r->pending, 2);
    finish(1, JOBQ_ROW_COMPLETED);
    is(row_n(3)->pending, 1);
    is(row_n(3)->state, JOBQ_ROW_BLOCKED);
    finish(2, JOBQ_ROW_COMPLETED);
    is(row_n(3)->pending, 0);
    is(row_n(3)->state, JOBQ_ROW_WAITING);
    is(row_n(3)->reason, JOBQ_REASON_NONE);
    is(row_n(3)->edits, 0);
    claim_n(3);
}

/* Ready in the same exchange as the last ack. */
static void ready_in_the_same_exchange(void)
{
    put_ok(1);
    child_of(2, 1, JOBQ_PARENT_FAIL);
    struct jobq_change c = completed(claim_n(1), "r");
    struct jobq_want w = due(5);
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .want = &w };
    go(me, &x);
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(2));
}

/* run_at = the later of the child's own and the moment it was let go. */
static void run_at_of_a_child_let_go(void)
{
    put_ok(1);
    const struct jobq_parent p = parent(1, JOBQ_PARENT_FAIL);
    child_of(2, 1, JOBQ_PARENT_FAIL);
    struct jobq_put delayed = put_of(3);
    delayed.run_at = from_now(5 * STEP);
    delayed.parents = &p;
    delayed.parent_count = 1;
    is(put(&delayed), JOBQ_OK);
    int64_t own = row_n(3)->run_at_ms;
    tick(STEP);
    finish(1, JOBQ_ROW_COMPLETED);
    is(row_n(2)->run_at_ms, row_n(1)->finished_at_ms);
    is(row_n(2)->due, 1);
    is(row_n(3)->run_at_ms, own);
    is(row_n(3)->due, 0);
    claim_n(2);
    ok(none_due());
}

static void parents_that_are_done(void)
{
    make(1, JOBQ_ROW_COMPLETED);
    make(2, JOBQ_ROW_DEAD);
    make(3, JOBQ_ROW_CANCELLED);
    child_of(4, 1, JOBQ_PARENT_FAIL);
    is(row_n(4)->state, JOBQ_ROW_WAITING);
    child_of(5, 2, JOBQ_PARENT_IGNORE);
    is(row_n(5)->state, JOBQ_ROW_WAITING);
    child_of(6, 3, JOBQ_PARENT_IGNORE);
    is(row_n(6)->state, JOBQ_ROW_WAITING);
    is(row_n(6)->parent_count, 0);
    child_of(7, 2, JOBQ_PARENT_FAIL);
    is(row_n(7)->state, JOBQ_ROW_BLOCKED);
    is(row_n(7)->pending, 1);
    struct jobq_want o = sweep(9);
    is(o.row_count, 1);
    ids_are(o.rows[0].id, id(2));
    is(o.rows[0].overdue, JOBQ_OVERDUE_EDGES);
}

static void family_in_one_exchange(void)
{
    const struct jobq_parent p = parent(1, JOBQ_PARENT_FAIL), q = parent(2, JOBQ_PARENT_FAIL);
    struct jobq_put puts[] = { put_of(1), put_of(2), put_of(3), put_of(4) };
    puts[1].parents = &p;
    puts[2].parents = &q;
    puts[3].parents = &q;
    puts[1].parent_count = puts[2].parent_count = puts[3].parent_count = 1;
    struct jobq_exchange x = { .puts = puts, .put_count = 4 };
    go(me, &x);
    for (int i = 0; i < 4; i++)
        is(puts[i].verdict, JOBQ_OK);
    is(puts[3].state, JOBQ_ROW_BLOCKED);
    finish(1, JOBQ_ROW_COMPLETED);
    finish(2, JOBQ_ROW_COMPLETED);
    claim_n(3);
    claim_n(4);
}

static void parent_not_found(void)
{
    put_ok(1);
    const struct jobq_parent both[] = { parent(1, JOBQ_PARENT_FAIL), parent(77, JOBQ_PARENT_IGNORE) };
    struct jobq_put p = put_of(2);
    p.parents = both;
    p.parent_count = 2;
    is(put(&p), JOBQ_NO_PARENT);
    ok(!exists(2));
    struct jobq_put self = put_of(3);
    const struct jobq_parent own = parent(3, JOBQ_PARENT_FAIL);
    self.parents = &own;
    self.parent_count = 1;
    is(put(&self), JOBQ_NO_PARENT);
    change_ok(by_operator(id(1), ANY_STATE, JOBQ_ROW_GONE)); /* no edge was left behind */
}

static void named_twice(void)
{
    put_ok(1);
    const struct jobq_parent twice[] = { parent(1, JOBQ_PARENT_IGNORE), parent(1, JOBQ_PARENT_FAIL) };
    put_child(2, twice, 2);
    is(row_n(2)->pending, 1);
    is(row_n(2)->parent_count, 1);
    finish(1, JOBQ_ROW_DEAD);
    is(row_n(2)->state, JOBQ_ROW_WAITING); /* by its first rule */
    put_child(3, twice, 2); /* and so it is when the parent has ended before */
    is(row_n(3)->state, JOBQ_ROW_WAITING);
}

static void shows_parents(void)
{
    put_ok(1);
    put_ok(2);
    const struct jobq_parent both[] = { parent(1, JOBQ_PARENT_CANCEL), parent(2, JOBQ_PARENT_IGNORE) };
    put_child(3, both, 2);
    claim_n(1);
    const struct jobq_row *r = row_n(3);
    is(r->parent_count, 2);
    for (size_t i = 0; i < 2; i++) {
        bool first = memcmp(&r->parents[i].id, &both[0].id, sizeof(struct jobq_id)) == 0;
        ids_are(r->parents[i].id, both[first ? 0 : 1].id);
        is(r->parents[i].rule, both[first ? 0 : 1].rule);
        is(r->parents[i].state, first ? JOBQ_ROW_RUNNING : JOBQ_ROW_WAITING);
    }
}

/* Held and with parents: both must let go. */
static void held_with_parents(void)
{
    const struct jobq_parent p = parent(1, JOBQ_PARENT_FAIL);
    struct jobq_change lift = by_operator(id(2), BLOCKED, JOBQ_ROW_KEEP);
    lift.set = JOBQ_LIFT_HOLD;
    put_ok(1);
    for (uint32_t child = 2; child <= 3; child++) {
        struct jobq_put held = put_of(child);
        held.held = 1;
        held.parents = &p;
        held.parent_count = 1;
        is(put(&held), JOBQ_OK);
        is(row_n(child)->reason, JOBQ_REASON_HOLD);
    }
    change_ok(lift);
    is(row_n(2)->state, JOBQ_ROW_BLOCKED);
    is(row_n(2)->reason, JOBQ_REASON_PARENTS);
    finish(1, JOBQ_ROW_COMPLETED);
    is(row_n(2)->state, JOBQ_ROW_WAITING);
    is(row_n(3)->state, JOBQ_ROW_BLOCKED);
    is(row_n(3)->pending, 0);
    lift.id = id(3);
    change_ok(lift);
    is(row_n(3)->state, JOBQ_ROW_WAITING);
}

/* A parent that dies leaves the decision to the core: overdue, with those who wait for it. */
static void parent_dies(void)
{
    put_ok(1);
    child_of(2, 1, JOBQ_PARENT_FAIL);
    child_of(3, 1, JOBQ_PARENT_CANCEL);
    child_of(4, 1, JOBQ_PARENT_IGNORE);
    finish(1, JOBQ_ROW_DEAD);
    is(row_n(4)->state, JOBQ_ROW_WAITING);
    is(row_n(2)->state, JOBQ_ROW_BLOCKED);
    struct jobq_want o = sweep(9);
    is(o.row_count, 1);
    ids_are(o.rows[0].id, id(1));
    is(o.rows[0].overdue, JOBQ_OVERDUE_EDGES);
    is(o.rows[0].state, JOBQ_ROW_DEAD);
    is(o.rows[0].child_count, 2);
    for (size_t i = 0; i < 2; i++) {
        bool fail = o.rows[0].children[i].rule == JOBQ_PARENT_FAIL;
        ids_are(o.rows[0].children[i].id, id(fail ? 2 : 3));
        is(o.rows[0].children[i].rule, fail ? JOBQ_PARENT_FAIL : JOBQ_PARENT_CANCEL);
    }
    change_ok(orphan(2, JOBQ_ROW_DEAD));
    change_ok(orphan(3, JOBQ_ROW_CANCELLED));
    is(sweep(9).row_count, 0);
    is(row_n(2)->reason, JOBQ_REASON_DEPENDENCY);
    is(row_n(2)->pending, 0);
}

/* A cascade goes on breadth first: the child that died has children of its own. */
static void cascade(void)
{
    put_ok(1);
    child_of(2, 1, JOBQ_PARENT_FAIL);
    child_of(3, 2, JOBQ_PARENT_FAIL);
    finish(1, JOBQ_ROW_CANCELLED);
    change_ok(orphan(2, JOBQ_ROW_DEAD));
    struct jobq_want o = sweep(9);
    is(o.row_count, 1);
    ids_are(o.rows[0].id, id(2));
    is(o.rows[0].child_count, 1);
    ids_are(o.rows[0].children[0].id, id(3));
}

/* A change resolves at most 64 edges; the rest is worked off by overdue wants, 64 more each, and given to nobody. */
static void sixty_four_at_once(void)
{
    const struct jobq_parent p = parent(1, JOBQ_PARENT_FAIL);
    struct jobq_put puts[151];
    puts[0] = put_of(1);
    for (uint32_t i = 1; i <= 150; i++) {
        puts[i] = put_of(i + 1);
        puts[i].queue = text("children");
        puts[i].parents = &p;
        puts[i].parent_count = 1;
    }
    struct jobq_exchange x = { .puts = puts, .put_count = 151 };
    go(me, &x);
    finish(1, JOBQ_ROW_COMPLETED);
    is(queue_stats("children").present[JOBQ_READY], 64);
    struct jobq_want o = sweep(9);
    is(o.row_count, 0);
    is(o.more, 1);
    is(queue_stats("children").present[JOBQ_READY], 128);
    o = sweep(9);
    is(o.row_count, 0);
    is(queue_stats("children").present[JOBQ_READY], 150);
    is(sweep(9).more, 0);
}

static void sixty_four_children_to_decide(void)
{
    const struct jobq_parent p = parent(1, JOBQ_PARENT_FAIL);
    struct jobq_put puts[101];
    puts[0] = put_of(1);
    for (uint32_t i = 1; i <= 100; i++) {
        puts[i] = put_of(i + 1);
        puts[i].parents = &p;
        puts[i].parent_count = 1;
    }
    struct jobq_exchange x = { .puts = puts, .put_count = 101 };
    go(me, &x);
    finish(1, JOBQ_ROW_DEAD);
    size_t decided = 0;
    for (int turn = 0; turn < 2; turn++) {
        struct jobq_want o = sweep(9);
        is(o.row_count, 1);
        is(o.rows[0].child_count, turn ? 36 : 64);
        struct jobq_change changes[64];
        for (size_t i = 0; i < o.rows[0].child_count; i++) {
            changes[i] = orphan(0, JOBQ_ROW_DEAD);
            changes[i].id = o.rows[0].children[i].id;
        }
        struct jobq_exchange judge = { .changes = changes, .change_count = o.rows[0].child_count };
        go(me, &judge);
        for (size_t i = 0; i < o.rows[0].child_count; i++)
            decided += changes[i].verdict == JOBQ_OK;
    }
    is(decided, 100);
    is(sweep(9).row_count, 0);
}

/* A row with open edges is neither dropped nor trimmed. */
static void parents_stay(void)
{
    put_ok(1);
    child_of(2, 1, JOBQ_PARENT_FAIL);
    struct jobq_change drop = by_operator(id(1), ANY_STATE, JOBQ_ROW_GONE);
    is(change(&drop), JOBQ_STALE);
    is(drop.stale, JOBQ_STALE_STATE);
    struct jobq_change kill = by_operator(id(1), LIVE, JOBQ_ROW_DEAD);
    struct jobq_exchange x = { .changes = &kill, .change_count = 1, .trim = { .limit = 9 } };
    go(me, &x);
    is(kill.verdict, JOBQ_OK);
    ok(exists(1));
    is(change(&drop), JOBQ_STALE);
    change_ok(orphan(2, JOBQ_ROW_DEAD));
    change_ok(drop);
    ok(!exists(1));
    is(row_n(2)->parent_count, 1);
    is(row_n(2)->parents[0].state, JOBQ_ROW_GONE);
}

/* A child that ends otherwise, or goes, waits no more. */
static void children_that_leave(void)
{
    put_ok(1);
    child_of(2, 1, JOBQ_PARENT_FAIL);
    child_of(3, 1, JOBQ_PARENT_FAIL);
    finish(2, JOBQ_ROW_CANCELLED);
    is(row_n(2)->pending, 0);
    is(row_n(2)->parent_count, 0);
    change_ok(by_operator(id(3), ANY_STATE, JOBQ_ROW_GONE));
    change_ok(by_operator(id(1), ANY_STATE, JOBQ_ROW_GONE));
    ok(!exists(1));
}

/* A parent redriven before anybody judged saves its children. */
static void parent_comes_back(void)
{
    put_ok(1);
    child_of(2, 1, JOBQ_PARENT_FAIL);
    finish(1, JOBQ_ROW_DEAD);
    is(sweep(9).row_count, 1);
    change_ok(by_operator(id(1), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING));
    is(sweep(9).row_count, 0);
    is(row_n(2)->state, JOBQ_ROW_BLOCKED);
    finish(1, JOBQ_ROW_COMPLETED);
    is(row_n(2)->state, JOBQ_ROW_WAITING);
}

static struct jobq_change block_again(uint32_t number)
{
    struct jobq_change c = by_operator(id(number), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING);
    c.set = JOBQ_BLOCK_AGAIN;
    return c;
}

/* Edges that ended in DEPENDENCY are kept: redriving the child blocks it again on what has not completed. */
static void redriven_child_waits_again(void)
{
    put_ok(1);
    put_ok(2);
    put_ok(3);
    const struct jobq_parent all[] = { parent(1, JOBQ_PARENT_FAIL), parent(2, JOBQ_PARENT_FAIL),
                                       parent(3, JOBQ_PARENT_FAIL) };
    put_child(4, all, 3);
    finish(1, JOBQ_ROW_COMPLETED);
    finish(2, JOBQ_ROW_DEAD);
    change_ok(orphan(4, JOBQ_ROW_DEAD));
    is(row_n(4)->parent_count, 2);
    change_ok(by_operator(id(2), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING));
    change_ok(block_again(4));
    const struct jobq_row *r = row_n(4);
    is(r->state, JOBQ_ROW_BLOCKED);
    is(r->reason, JOBQ_REASON_PARENTS);
    is(r->pending, 2);
    change_ok(completed(claim_n(2), "r"));
    is(row_n(4)->pending, 1);
    change_ok(completed(claim_n(3), "r"));
    is(row_n(4)->state, JOBQ_ROW_WAITING);
}

static void redriven_child_of_a_dead_parent(void)
{
    put_ok(1);
    child_of(2, 1, JOBQ_PARENT_FAIL);
    finish(1, JOBQ_ROW_DEAD);
    change_ok(orphan(2, JOBQ_ROW_DEAD));
    is(sweep(9).row_count, 0);
    change_ok(block_again(2));
    is(row_n(2)->state, JOBQ_ROW_BLOCKED);
    struct jobq_want o = sweep(9);
    is(o.row_count, 1);
    is(o.rows[0].child_count, 1);
}

/* What has completed meanwhile, or is gone, blocks nobody. */
static void redriven_child_without_obstacle(void)
{
    put_ok(1);
    put_ok(2);
    const struct jobq_parent both[] = { parent(1, JOBQ_PARENT_FAIL), parent(2, JOBQ_PARENT_FAIL) };
    put_child(3, both, 2);
    finish(1, JOBQ_ROW_DEAD);
    change_ok(orphan(3, JOBQ_ROW_DEAD));
    finish(2, JOBQ_ROW_COMPLETED);
    change_ok(by_operator(id(1), ANY_STATE, JOBQ_ROW_GONE));
    change_ok(block_again(3));
    is(row_n(3)->state, JOBQ_ROW_WAITING);
    is(row_n(3)->reason, JOBQ_REASON_NONE);
    is(row_n(3)->parent_count, 0);
    claim_n(3);
}

/* Without the flag a redriven child just runs. */
static void redriven_child_unblocked(void)
{
    put_ok(1);
    child_of(2, 1, JOBQ_PARENT_FAIL);
    finish(1, JOBQ_ROW_DEAD);
    change_ok(orphan(2, JOBQ_ROW_DEAD));
    change_ok(by_operator(id(2), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING));
    claim_n(2);
}

/* Of two sweepers with the same edge one succeeds. */
static void two_sweepers_one_judgement(void)
{
    put_ok(1);
    child_of(2, 1, JOBQ_PARENT_FAIL);
    finish(1, JOBQ_ROW_DEAD);
    struct jobq_want mine = sweep(9), yours = overdue(9);
    want(another(), &yours);
    is(mine.row_count, 1);
    is(yours.row_count, 1);
    struct jobq_change first = orphan(2, JOBQ_ROW_DEAD), second = first;
    change_ok(first);
    is(change(&second), JOBQ_STALE);
    is(row_n(2)->edits, 1);
}

/* The ack and the puts that hang on it: a step that plans the next ones. */
static void fan_out_from_an_ack(void)
{
    put_ok(1);
    struct jobq_change c = completed(claim_n(1), "plan");
    const struct jobq_parent steps[] = { parent(2, JOBQ_PARENT_IGNORE), parent(3, JOBQ_PARENT_FAIL) };
    struct jobq_put puts[] = { put_of(2), put_of(3), put_of(4) };
    puts[2].parents = steps;
    puts[2].parent_count = 2;
    for (int i = 0; i < 3; i++)
        puts[i].only_if = 0;
    struct jobq_want w = due(9);
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .puts = puts, .put_count = 3, .want = &w };
    go(me, &x);
    is(w.row_count, 2);
    struct jobq_change dead = failed(&w.rows[0], JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e");
    change_ok(dead);
    change_ok(completed(&w.rows[1], "r"));
    claim_n(4);
}

/* Expiry reaches a blocked child; its parent is free of it then. */
static void blocked_child_expires(void)
{
    put_ok(1);
    const struct jobq_parent p = parent(1, JOBQ_PARENT_FAIL);
    struct jobq_put child = put_of(2);
    child.parents = &p;
    child.parent_count = 1;
    child.expires_at = from_now(STEP);
    is(put(&child), JOBQ_OK);
    tick(STEP);
    struct jobq_want o = sweep(9);
    is(o.row_count, 1);
    is(o.rows[0].overdue, JOBQ_OVERDUE_EXPIRED);
    struct jobq_change dead = by_operator(id(2), BLOCKED, JOBQ_ROW_DEAD);
    dead.reason = JOBQ_REASON_EXPIRED;
    change_ok(dead);
    change_ok(by_operator(id(1), ANY_STATE, JOBQ_ROW_GONE));
}

#define EDGE(title, function)                                                                           \
    {                                                                                                   \
        .name = title, .run = function, .needs = JOBQ_CAP_EDGES                                         \
    }
static const struct test tests[] = {
    EDGE("a child waits for all its parents (rule 11)", waits_for_all),
    EDGE("ready in the exchange of the last ack (rule 11)", ready_in_the_same_exchange),
    EDGE("run_at is the later of its own and now", run_at_of_a_child_let_go),
    EDGE("parents that have ended before the put", parents_that_are_done),
    EDGE("parents and children in one exchange", family_in_one_exchange),
    EDGE("NO_PARENT stores nothing", parent_not_found),
    EDGE("a parent named twice counts once", named_twice),
    EDGE("read shows parents", shows_parents),
    EDGE("held and with parents: both must let go", held_with_parents),
    EDGE("a dead parent leaves the decision to the core", parent_dies),
    EDGE("a cascade is breadth first", cascade),
    EDGE("64 edges are resolved at once", sixty_four_at_once),
    EDGE("64 children are given at once", sixty_four_children_to_decide),
    EDGE("a row with open edges stays (rule 14)", parents_stay),
    EDGE("a child that leaves waits no more", children_that_leave),
    EDGE("a parent redriven in time saves its children", parent_comes_back),
    EDGE("a redriven child waits again", redriven_child_waits_again),
    EDGE("a redriven child of a dead parent is overdue again", redriven_child_of_a_dead_parent),
    EDGE("a redriven child without obstacle", redriven_child_without_obstacle),
    EDGE("a redriven child that is not to wait", redriven_child_unblocked),
    EDGE("two sweepers, one judgement (S2)", two_sweepers_one_judgement),
    EDGE("fan-out and fan-in from an ack (rule 11)", fan_out_from_an_ack),
    EDGE("a blocked child expires", blocked_child_expires),
};
const struct topic topic_edge = TOPIC("edge", tests);
