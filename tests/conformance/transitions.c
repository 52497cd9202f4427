/* SPDX-License-Identifier: MIT */
/* Walks the table of transitions: every legal step can be made, no other step can. S6. */
#include "suite.h"

#include "transitions.h"

static const uint8_t digest[32] = { 'd' };

static int reason_of(const char *name)
{
    static const struct {
        const char *name;
        int reason;
    } reasons[] = { { "-", JOBQ_REASON_NONE },
                    { "parents", JOBQ_REASON_PARENTS },
                    { "hold", JOBQ_REASON_HOLD },
                    { "callback", JOBQ_REASON_CALLBACK },
                    { "attempts", JOBQ_REASON_ATTEMPTS },
                    { "permanent", JOBQ_REASON_PERMANENT },
                    { "poison", JOBQ_REASON_POISON },
                    { "timeout", JOBQ_REASON_TIMEOUT },
                    { "expired", JOBQ_REASON_EXPIRED },
                    { "dependency", JOBQ_REASON_DEPENDENCY },
                    { "callback_timeout", JOBQ_REASON_CALLBACK_TIMEOUT },
                    { "early_ack", JOBQ_REASON_EARLY_ACK } };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reasons[i].name, name) == 0)
            return reasons[i].reason;
    fail_test(__FILE__, __LINE__, "the table names an unknown reason: %s", name);
}

static int outcome_of(const char *name)
{
    static const char *const names[] = { "-", "complete", "fail", "release", "snooze", "park", "void" };
    for (int i = 0; i < 7; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fail_test(__FILE__, __LINE__, "the table names an unknown outcome: %s", name);
}

static bool is_event(const struct jobq_transition *t, const char *event)
{
    return strcmp(t->event, event) == 0;
}

static bool is_by(const struct jobq_transition *t, const char *by)
{
    return strcmp(t->by, by) == 0;
}

static bool needs_edges(const struct jobq_transition *t)
{
    return is_by(t, "edge") || is_event(t, "parent_dead") || is_event(t, "parent_gone") ||
           is_event(t, "unhold_wait") || strcmp(t->reason, "parents") == 0;
}

/* ---- a job at the beginning of a step ---------------------------------------------------------------------------- */

#define JOB 1
#define PARENT 2

static void put_with_parent(bool held, int parent_state)
{
    const struct jobq_parent parent = { .id = id(PARENT), .rule = JOBQ_PARENT_FAIL };
    make(PARENT, parent_state);
    struct jobq_put p = put_of(JOB);
    p.held = held;
    p.parents = &parent;
    p.parent_count = 1;
    is(put(&p), JOBQ_OK);
}

static const struct jobq_row *park(void)
{
    put_ok(JOB);
    const struct jobq_row *r = claim_n(JOB);
    struct jobq_change c = by_token(r, JOBQ_OUTCOME_PARK, JOBQ_ROW_BLOCKED);
    c.reason = JOBQ_REASON_CALLBACK;
    c.set = JOBQ_SET_CALLBACK | JOBQ_SET_DEADLINE;
    c.callback_until = from_now(STEP);
    memcpy(c.digest, digest, sizeof digest);
    change_ok(c);
    return r;
}

/* An ended child whose parent, dead then, waits again now. */
static void make_orphan(int state)
{
    put_with_parent(false, JOBQ_ROW_DEAD);
    struct jobq_change c = by_operator(id(JOB), LIVE, state);
    c.reason = JOBQ_REASON_DEPENDENCY;
    change_ok(c);
    change_ok(by_operator(id(PARENT), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING));
}

static const struct jobq_row *prepare(const struct jobq_transition *t)
{
    if (is_event(t, "redrive") && t->to == JOBQ_ROW_BLOCKED)
        make_orphan(t->from);
    else if (is_event(t, "parents_done") || is_event(t, "unhold_wait"))
        put_with_parent(is_event(t, "unhold_wait"), JOBQ_ROW_WAITING);
    else if (is_event(t, "parent_dead") || is_event(t, "parent_gone"))
        put_with_parent(false, JOBQ_ROW_DEAD);
    else if (is_event(t, "resume") || is_event(t, "callback_late") || is_event(t, "callback_last"))
        return park();
    else if (t->from)
        return make(JOB, t->from);
    return NULL;
}

/* ---- the step ------------------------------------------------------------------------------------------------------ */

static struct jobq_change change_of(const struct jobq_transition *t, const struct jobq_row *held)
{
    struct jobq_change c = by_operator(id(JOB), JOBQ_ROW_BIT((unsigned)t->from), t->to);
    if (is_by(t, "token")) {
        c.by = JOBQ_BY_TOKEN;
        c.token = held->token;
        c.edits = held->edits;
    }
    if (is_by(t, "callback")) {
        c.by = JOBQ_BY_CALLBACK;
        memcpy(c.digest, digest, sizeof digest);
        c.set = JOBQ_SET_DATA;
    }
    c.outcome = outcome_of(t->outcome);
    c.reason = reason_of(t->reason);
    if (t->from == t->to)
        c.state = JOBQ_ROW_KEEP;
    if (is_event(t, "extend"))
        c.set = JOBQ_SET_LEASE, c.lease_ms = 2 * LEASE;
    if (is_event(t, "cancel_soft"))
        c.set = JOBQ_SET_CANCEL_ASKED;
    if (is_event(t, "resume_early"))
        c.set |= JOBQ_SET_RESUMED;
    if (is_event(t, "unhold") || is_event(t, "unhold_wait"))
        c.set = JOBQ_LIFT_HOLD;
    if (is_event(t, "redrive"))
        c.set = JOBQ_TAKE_KEY | (store_has(JOBQ_CAP_EDGES) ? (uint32_t)JOBQ_BLOCK_AGAIN : 0);
    return c;
}

static void expect_callback(const struct jobq_row *held)
{
    struct jobq_change c = by_token(held, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_CALLBACK;
    memcpy(c.digest, digest, sizeof digest);
    change_ok(c);
}

static void step_by_change(const struct jobq_transition *t, const struct jobq_row *held)
{
    if (is_event(t, "resume_early"))
        expect_callback(held);
    struct jobq_change c = change_of(t, held);
    if (change(&c) != JOBQ_OK)
        fail_test(__FILE__, __LINE__, "%s was refused: %d, stale %d", t->event, c.verdict, c.stale);
}

static void step_by_trim(const struct jobq_transition *t)
{
    struct jobq_put p = put_of(3);
    p.queue = text("q");
    is(put(&p), JOBQ_OK);
    tick(1000);
    struct jobq_change c = t->from == JOBQ_ROW_COMPLETED ? completed(claim_n(3), "r")
                                                         : by_operator(id(3), LIVE, t->from);
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .trim = { .limit = 1 } };
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = 1;
    go(me, &x);
    change_ok(by_operator(id(3), ANY_STATE, JOBQ_ROW_GONE));
}

static void step(const struct jobq_transition *t, const struct jobq_row *held)
{
    struct jobq_want o = overdue(9);
    if (is_by(t, "token") || is_by(t, "operator") || is_by(t, "callback")) {
        step_by_change(t, held);
    } else if (is_by(t, "trim")) {
        step_by_trim(t);
    } else if (is_by(t, "edge")) {
        finish(PARENT, JOBQ_ROW_COMPLETED);
    } else if (is_event(t, "claim")) {
        claim_n(JOB);
    } else if (is_event(t, "sweep")) {
        tick(LEASE);
        want(me, &o);
        is(o.row_count, 1);
    } else if (is_event(t, "enqueue") && t->to == JOBQ_ROW_BLOCKED) {
        put_with_parent(false, JOBQ_ROW_WAITING);
    } else {
        struct jobq_put p = put_of(JOB);
        p.held = is_event(t, "enqueue_held");
        is(put(&p), JOBQ_OK);
    }
}

static void arrived(const struct jobq_transition *t)
{
    const struct jobq_row *r = row(id(JOB));
    if (t->to == JOBQ_ROW_GONE) {
        ok(r == NULL);
        return;
    }
    ok(r != NULL);
    bool by_whom_has_outcome = is_by(t, "token") || is_event(t, "cancel_hard");
    if (r->state != t->to || r->reason != reason_of(t->reason))
        fail_test(__FILE__, __LINE__, "%s led to state %d, reason %d", t->event, r->state, r->reason);
    if (by_whom_has_outcome)
        is(r->outcome, outcome_of(t->outcome));
    is(r->due, t->to == JOBQ_ROW_WAITING);
    is(r->finished_at_ms != 0, (JOBQ_ROW_BIT((unsigned)t->to) & JOBQ_ROW_ENDED) != 0);
    is(r->lease_until_ms != 0, t->to == JOBQ_ROW_RUNNING);
}

static void clear(uint32_t number)
{
    if (exists(number))
        change_ok(by_operator(id(number), ANY_STATE, JOBQ_ROW_GONE));
}

static void legal_steps(void)
{
    size_t walked = 0;
    for (size_t i = 0; i < JOBQ_TRANSITION_COUNT; i++) {
        const struct jobq_transition *t = &jobq_transitions[i];
        if (needs_edges(t) && !store_has(JOBQ_CAP_EDGES))
            continue;
        step(t, prepare(t));
        arrived(t);
        walked++;
        clear(JOB);
        clear(PARENT);
    }
    ok(store_has(JOBQ_CAP_EDGES) ? walked == JOBQ_TRANSITION_COUNT : walked > 30);
}

/* ---- illegal steps ------------------------------------------------------------------------------------------------- */

/* From where is this event legal? */
static uint32_t legal_from(const char *event)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < JOBQ_TRANSITION_COUNT; i++)
        if (strcmp(jobq_transitions[i].event, event) == 0)
            mask |= JOBQ_ROW_BIT((unsigned)jobq_transitions[i].from);
    return mask;
}

/* A job in this state that was held under a token once, where that is possible. */
static const struct jobq_row *former_holder(int state)
{
    put_ok(JOB);
    const struct jobq_row *held = claim_n(JOB);
    if (state == JOBQ_ROW_RUNNING)
        return held;
    struct jobq_change away = by_operator(id(JOB), ANY_STATE, state);
    away.outcome = JOBQ_OUTCOME_VOID;
    away.reason = state == JOBQ_ROW_BLOCKED ? JOBQ_REASON_CALLBACK : JOBQ_REASON_NONE;
    change_ok(away);
    is(row_n(JOB)->state, state);
    return held;
}

static size_t refuse_elsewhere(const struct jobq_transition *t)
{
    uint32_t legal = legal_from(t->event);
    size_t refused = 0;
    for (int state = JOBQ_ROW_BLOCKED; state <= JOBQ_ROW_CANCELLED; state++) {
        if (legal & JOBQ_ROW_BIT((unsigned)state))
            continue;
        const struct jobq_row *held = former_holder(state);
        struct jobq_change c = change_of(t, held);
        c.allowed = legal;
        c.edits = JOBQ_ANY_EDITS;
        char *memory = remember(id(JOB));
        if (change(&c) != JOBQ_STALE)
            fail_test(__FILE__, __LINE__, "%s from state %d: verdict %d", t->event, state, c.verdict);
        is_as_remembered(id(JOB), memory);
        clear(JOB);
        refused++;
    }
    return refused;
}

static void illegal_steps(void)
{
    size_t refused = 0;
    for (size_t i = 0; i < JOBQ_TRANSITION_COUNT; i++) {
        const struct jobq_transition *t = &jobq_transitions[i];
        bool seen = false;
        for (size_t j = 0; j < i; j++)
            seen |= strcmp(jobq_transitions[j].event, t->event) == 0;
        if (!seen && (is_by(t, "token") || is_by(t, "operator") || is_by(t, "callback")))
            refused += refuse_elsewhere(t);
    }
    ok(refused > 100);
}

/* A want takes rows from waiting only; an ended row absorbs. */
static void nothing_else_is_claimed(void)
{
    static const int states[] = { JOBQ_ROW_BLOCKED, JOBQ_ROW_RUNNING, JOBQ_ROW_COMPLETED, JOBQ_ROW_DEAD,
                                  JOBQ_ROW_CANCELLED };
    for (uint32_t i = 0; i < 5; i++)
        make(10 + i, states[i]);
    ok(none_due());
    tick(100 * STEP);
    ok(none_due());
}

static const struct test tests[] = {
    { .name = "every step of the table can be made (S6)", .run = legal_steps, .flags = PLAIN_ONLY },
    { .name = "no other step can (S6)", .run = illegal_steps, .flags = PLAIN_ONLY },
    { .name = "a want takes from waiting only (S6)", .run = nothing_else_is_claimed },
};
const struct topic topic_transitions = TOPIC("transitions", tests);
