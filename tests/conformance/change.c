/* SPDX-License-Identifier: MIT */
/* The guards of a change: lifecycle rules 1, 2, 6; contract "Changes". */
#include "suite.h"

static void stale_is(struct jobq_change c, int reason)
{
    char *memory = remember(c.id);
    is(change(&c), JOBQ_STALE);
    is(c.stale, reason);
    is(c.row != NULL, reason != JOBQ_STALE_GONE);
    if (c.row)
        ids_are(c.row->id, c.id);
    is_as_remembered(c.id, memory);
}

static struct jobq_change release(const struct jobq_row *r)
{
    return by_token(r, JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING);
}

static struct jobq_change hard_cancel(uint32_t number)
{
    struct jobq_change c = by_operator(id(number), LIVE, JOBQ_ROW_CANCELLED);
    c.outcome = JOBQ_OUTCOME_VOID;
    return c;
}

static void no_such_row(void)
{
    const struct jobq_row nobody = { .id = id(9) };
    const uint8_t digest[32] = { 1 };
    stale_is(completed(&nobody, "r"), JOBQ_STALE_GONE);
    stale_is(by_operator(id(9), ANY_STATE, JOBQ_ROW_CANCELLED), JOBQ_STALE_GONE);
    stale_is(by_callback(id(9), digest, ANY_STATE, JOBQ_ROW_WAITING), JOBQ_STALE_GONE);
}

/* S2: without the present token no byte changes. */
static void another_token(void)
{
    put_ok(1);
    struct jobq_row r = *claim_n(1);
    static const int outcomes[] = { JOBQ_OUTCOME_NONE, JOBQ_OUTCOME_COMPLETE, JOBQ_OUTCOME_FAIL,
                                    JOBQ_OUTCOME_RELEASE, JOBQ_OUTCOME_SNOOZE, JOBQ_OUTCOME_PARK };
    for (size_t i = 0; i < 6; i++) {
        struct jobq_row forged = r;
        forged.token.bytes[i < 3 ? 0 : 15] ^= 1; /* either half counts */
        stale_is(by_token(&forged, outcomes[i], outcomes[i] ? JOBQ_ROW_COMPLETED : JOBQ_ROW_KEEP),
                 JOBQ_STALE_OVERTAKEN);
    }
    change_ok(completed(&r, "r"));
}

/* The token of one row is no token of another. */
static void token_of_a_neighbour(void)
{
    put_ok(1);
    const struct jobq_row *mine = claim_n(1);
    put_ok(2);
    const struct jobq_row *other = claim_n(2);
    struct jobq_change c = completed(mine, "r");
    c.id = other->id;
    stale_is(c, JOBQ_STALE_OVERTAKEN);
}

static void never_claimed(void)
{
    put_ok(1);
    const struct jobq_row nobody = { .id = id(1) };
    stale_is(completed(&nobody, "r"), JOBQ_STALE_OUTCOME);
}

/* S3, S11: same token, same kind: ALREADY, and the first bytes stay. */
static void same_outcome_again(void)
{
    put_ok(1);
    struct jobq_change first = completed(claim_n(1), "first"), again = first;
    change_ok(first);
    char *memory = remember(id(1));
    again.result = text("second");
    is(change(&again), JOBQ_ALREADY);
    ok(again.row != NULL);
    is(again.row->state, JOBQ_ROW_COMPLETED);
    ok(!again.row->payload.data && !again.row->result.data);
    is_as_remembered(id(1), memory);
    bytes_are(row_n(1)->result, text("first"));
}

static void each_outcome_again(void)
{
    static const struct {
        int outcome, state;
    } cases[] = { { JOBQ_OUTCOME_COMPLETE, JOBQ_ROW_COMPLETED }, { JOBQ_OUTCOME_FAIL, JOBQ_ROW_WAITING },
                  { JOBQ_OUTCOME_FAIL, JOBQ_ROW_DEAD },          { JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING },
                  { JOBQ_OUTCOME_SNOOZE, JOBQ_ROW_WAITING },     { JOBQ_OUTCOME_PARK, JOBQ_ROW_BLOCKED } };
    for (uint32_t i = 0; i < 6; i++) {
        put_ok(i);
        struct jobq_change c = by_token(claim_n(i), cases[i].outcome, cases[i].state), again = c;
        c.set = again.set = JOBQ_SET_RUN_AT;
        c.run_at = again.run_at = from_now(STEP);
        c.reason = again.reason = cases[i].state == JOBQ_ROW_BLOCKED ? JOBQ_REASON_CALLBACK : 0;
        change_ok(c);
        char *memory = remember(id(i));
        is(change(&again), JOBQ_ALREADY);
        is_as_remembered(id(i), memory);
    }
}

static void another_outcome(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    change_ok(completed(r, "r"));
    stale_is(release(r), JOBQ_STALE_OUTCOME);
    stale_is(failed(r, JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "late"), JOBQ_STALE_OUTCOME);
    stale_is(by_token(r, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP), JOBQ_STALE_OUTCOME);
}

/* Rule 6: a hard cancel voids the token. */
static void voided(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    change_ok(hard_cancel(1));
    const struct jobq_row *now = row_n(1);
    is(now->state, JOBQ_ROW_CANCELLED);
    is(now->outcome, JOBQ_OUTCOME_VOID);
    is(now->edits, 1);
    ok(memcmp(&now->token, &r->token, sizeof r->token) == 0);
    stale_is(completed(r, "r"), JOBQ_STALE_VOID);
    stale_is(by_token(r, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP), JOBQ_STALE_VOID);
}

/* The next claim replaces token and kind. */
static void overtaken(void)
{
    put_ok(1);
    const struct jobq_row *first = claim_n(1);
    change_ok(release(first));
    const struct jobq_row *second = claim_n(1);
    is(second->outcome, JOBQ_OUTCOME_NONE);
    stale_is(completed(first, "r"), JOBQ_STALE_OVERTAKEN);
    stale_is(release(first), JOBQ_STALE_OVERTAKEN);
    change_ok(completed(second, "r"));
}

/* Rule 2: a late ack that nobody overtook is accepted. */
static void late_and_not_overtaken(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    tick(100 * LEASE);
    change_ok(completed(r, "late"));
    bytes_are(row_n(1)->result, text("late"));
}

/* Token and kind outlive what operators do: redrive, edit, soft cancel. */
static void known_after_a_redrive(void)
{
    put_ok(1);
    struct jobq_change fail = failed(claim_n(1), JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e"), again = fail;
    change_ok(fail);
    change_ok(by_operator(id(1), JOBQ_ROW_BIT(JOBQ_ROW_DEAD), JOBQ_ROW_WAITING));
    again.edits = JOBQ_ANY_EDITS;
    is(change(&again), JOBQ_ALREADY);
    is(row_n(1)->state, JOBQ_ROW_WAITING);
    claim_n(1);
    stale_is(fail, JOBQ_STALE_OVERTAKEN);
}

/* Contract "Changes": policy computed from an old row is refused, and the present row comes back. */
static void outdated(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    struct jobq_change cancel = by_operator(id(1), JOBQ_ROW_BIT(JOBQ_ROW_RUNNING), JOBQ_ROW_KEEP);
    cancel.set = JOBQ_SET_CANCEL_ASKED;
    change_ok(cancel);
    char *memory = remember(id(1));
    struct jobq_change c = failed(r, JOBQ_ROW_WAITING, 0, "e");
    is(change(&c), JOBQ_OUTDATED);
    ok(c.row != NULL);
    is(c.row->cancel_asked, 1);
    is(c.row->edits, 1);
    is_as_remembered(id(1), memory);
    c = failed(c.row, JOBQ_ROW_CANCELLED, 0, "e");
    change_ok(c);
    is(row_n(1)->state, JOBQ_ROW_CANCELLED);
}

static void outdated_operator(void)
{
    put_ok(1);
    struct jobq_change c = by_operator(id(1), JOBQ_ROW_BIT(JOBQ_ROW_WAITING), JOBQ_ROW_KEEP), second;
    c.set = JOBQ_SET_PAYLOAD;
    c.payload = text("new");
    c.edits = 0;
    second = c;
    second.payload = text("newer");
    change_ok(c);
    char *memory = remember(id(1));
    is(change(&second), JOBQ_OUTDATED);
    is_as_remembered(id(1), memory);
    second.edits = JOBQ_ANY_EDITS;
    is(change(&second), JOBQ_OK);
    is(row_n(1)->edits, 2);
    bytes_are(row_n(1)->payload, text("newer"));
}

/* ALREADY and STALE go before OUTDATED. */
static void order_of_guards(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    change_ok(completed(r, "r"));
    change_ok(by_operator(id(1), ANY_STATE, JOBQ_ROW_KEEP));
    struct jobq_change c = completed(r, "r");
    c.edits = 77;
    is(change(&c), JOBQ_ALREADY);
    c = release(r);
    c.edits = 77;
    stale_is(c, JOBQ_STALE_OUTCOME);
    c = by_operator(id(1), JOBQ_ROW_BIT(JOBQ_ROW_WAITING), JOBQ_ROW_CANCELLED);
    c.edits = 77;
    stale_is(c, JOBQ_STALE_STATE);
}

/* Every worker's change leaves `edits`; every other raises it. */
static void who_raises_edits(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    struct jobq_change c = by_token(r, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_PROGRESS;
    c.progress = text("1");
    change_ok(c);
    is(row_n(1)->edits, 0);
    change_ok(by_operator(id(1), ANY_STATE, JOBQ_ROW_KEEP));
    is(row_n(1)->edits, 1);
}

/* An operator's change names the states that it is for. */
static void allowed_states(void)
{
    static const int states[] = { JOBQ_ROW_BLOCKED, JOBQ_ROW_WAITING, JOBQ_ROW_COMPLETED, JOBQ_ROW_DEAD,
                                  JOBQ_ROW_CANCELLED, JOBQ_ROW_RUNNING };
    for (uint32_t i = 0; i < 6; i++) {
        struct jobq_put p = put_of(i);
        p.queue = text("elsewhere");
        if (states[i] == JOBQ_ROW_WAITING)
            is(put(&p), JOBQ_OK);
        else
            make(i, states[i]);
        uint32_t bit = JOBQ_ROW_BIT((unsigned)states[i]);
        stale_is(by_operator(id(i), ANY_STATE & ~bit, JOBQ_ROW_CANCELLED), JOBQ_STALE_STATE);
        change_ok(by_operator(id(i), bit, JOBQ_ROW_KEEP));
        is(row_n(i)->state, states[i]);
    }
}

static void authorised_by_nothing(void)
{
    put_ok(1);
    struct jobq_change c = by_operator(id(1), ANY_STATE, JOBQ_ROW_CANCELLED);
    c.by = 0;
    stale_is(c, JOBQ_STALE_STATE);
}

/* Several changes of one exchange see each other, in array order; one that is refused undoes none. */
static void in_array_order(void)
{
    put_ok(1);
    put_ok(2);
    struct jobq_want w = due(2);
    want(me, &w);
    is(w.row_count, 2);
    struct jobq_change c[] = { completed(&w.rows[0], "a"), completed(&w.rows[0], "b"), release(&w.rows[0]),
                               completed(&w.rows[1], "c") };
    struct jobq_exchange x = { .changes = c, .change_count = 4 };
    go(me, &x);
    is(c[0].verdict, JOBQ_OK);
    is(c[1].verdict, JOBQ_ALREADY);
    is(c[2].verdict, JOBQ_STALE);
    is(c[3].verdict, JOBQ_OK);
    bytes_are(row_n(1)->result, text("a"));
    bytes_are(row_n(2)->result, text("c"));
}

/* S4: of two clients with the same token one has effect, the other is told so. */
static void two_clients_one_token(void)
{
    put_ok(1);
    struct jobq_change c = completed(claim_n(1), "mine"), d = c;
    change_ok(c);
    d.result = text("yours");
    struct jobq_exchange x = { .changes = &d, .change_count = 1 };
    go(another(), &x);
    is(d.verdict, JOBQ_ALREADY);
    bytes_are(row_n(1)->result, text("mine"));
}

static const struct test tests[] = {
    { .name = "no such row: STALE, gone", .run = no_such_row },
    { .name = "another token changes no byte (S2)", .run = another_token },
    { .name = "a neighbour's token changes no byte (S2)", .run = token_of_a_neighbour },
    { .name = "a job never claimed has no token (S2)", .run = never_claimed },
    { .name = "same token, same outcome: ALREADY, first bytes stay (S3, S11)", .run = same_outcome_again },
    { .name = "ALREADY for every kind of outcome (S11)", .run = each_outcome_again },
    { .name = "same token, another outcome: STALE (S3)", .run = another_outcome },
    { .name = "a hard cancel voids the token (rule 6)", .run = voided },
    { .name = "the next claim overtakes (S2)", .run = overtaken },
    { .name = "late but not overtaken is accepted (rule 2)", .run = late_and_not_overtaken },
    { .name = "ALREADY survives a redrive", .run = known_after_a_redrive },
    { .name = "OUTDATED when the row was edited meanwhile", .run = outdated },
    { .name = "OUTDATED for operators that name edits", .run = outdated_operator },
    { .name = "guards in their order", .run = order_of_guards },
    { .name = "edits rise with every change but the worker's", .run = who_raises_edits },
    { .name = "operators: only from the states they allow (S6)", .run = allowed_states },
    { .name = "authorised by nothing: STALE", .run = authorised_by_nothing },
    { .name = "several changes in array order", .run = in_array_order },
    { .name = "two clients, one token: one effect (S3)", .run = two_clients_one_token },
};
const struct topic topic_change = TOPIC("change", tests);
