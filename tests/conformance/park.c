/* SPDX-License-Identifier: MIT */
/* Park and resume: lifecycle rule 11; contract "Dependencies", last paragraph. */
#include "suite.h"

static const uint8_t secret[32] = { 1, 2, 3 }, other_secret[32] = { 3, 2, 1 };
#define RUNNING JOBQ_ROW_BIT(JOBQ_ROW_RUNNING)
#define BLOCKED JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED)

static void expect_callback(const struct jobq_row *held, const uint8_t digest[32])
{
    struct jobq_change c = by_token(held, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_CALLBACK;
    memcpy(c.digest, digest, sizeof c.digest);
    change_ok(c);
}

static struct jobq_change park_change(const struct jobq_row *held)
{
    struct jobq_change c = by_token(held, JOBQ_OUTCOME_PARK, JOBQ_ROW_BLOCKED);
    c.reason = JOBQ_REASON_CALLBACK;
    c.set = JOBQ_SET_DEADLINE;
    c.callback_until = from_now(STEP);
    return c;
}

static const struct jobq_row *park(uint32_t number)
{
    put_ok(number);
    const struct jobq_row *r = claim_n(number);
    expect_callback(r, secret);
    change_ok(park_change(r));
    return r;
}

static struct jobq_change resume(uint32_t number, const uint8_t digest[32], const char *data)
{
    struct jobq_change c = by_callback(id(number), digest, BLOCKED, JOBQ_ROW_WAITING);
    c.set = JOBQ_SET_DATA | JOBQ_SET_RUN_AT;
    c.run_at = from_now(0);
    c.data = text(data);
    return c;
}

static void parks(void)
{
    const struct jobq_row *r = park(1);
    const struct jobq_row *now = row_n(1);
    is(now->state, JOBQ_ROW_BLOCKED);
    is(now->reason, JOBQ_REASON_CALLBACK);
    is(now->outcome, JOBQ_OUTCOME_PARK);
    is(now->has_callback, 1);
    ok(now->callback_until_ms >= r->started_at_ms + STEP && now->callback_until_ms <= me->now + STEP);
    is(now->lease_until_ms, 0);
    ok(none_due());
    struct jobq_change again = park_change(r);
    is(change(&again), JOBQ_ALREADY);
}

static void resumes_with_data(void)
{
    park(1);
    struct jobq_change c = resume(1, secret, "answer");
    is(change(&c), JOBQ_OK);
    const struct jobq_row *r = row_n(1);
    is(r->state, JOBQ_ROW_WAITING);
    is(r->reason, JOBQ_REASON_NONE);
    is(r->has_callback, 0);
    is(r->edits, 1);
    r = claim_n(1);
    bytes_are(r->data, text("answer"));
    is(r->attempt, 2);
}

/* The digest stays after use: a second callback is ALREADY, also much later. */
static void second_callback(void)
{
    park(1);
    change_ok(resume(1, secret, "first"));
    struct jobq_change c = resume(1, secret, "second");
    is(change(&c), JOBQ_ALREADY);
    const struct jobq_row *r = claim_n(1);
    bytes_are(r->data, text("first"));
    change_ok(completed(r, "r"));
    is(change(&c), JOBQ_ALREADY);
}

static void digest_refused(struct jobq_change c)
{
    char *memory = remember(id(1));
    is(change(&c), JOBQ_STALE);
    is(c.stale, JOBQ_STALE_DIGEST);
    ok(c.row != NULL);
    is_as_remembered(id(1), memory);
}

static void forged_callback(void)
{
    const uint8_t zero[32] = { 0 };
    put_ok(1);
    digest_refused(resume(1, secret, "x"));
    digest_refused(resume(1, zero, "x"));
    const struct jobq_row *r = claim_n(1);
    expect_callback(r, secret);
    change_ok(park_change(r));
    digest_refused(resume(1, other_secret, "x"));
    uint8_t near[32];
    memcpy(near, secret, sizeof near);
    near[31] ^= 1;
    digest_refused(resume(1, near, "x"));
    change_ok(resume(1, secret, "x"));
}

/* The right secret in a state that is not meant. */
static void not_parked(void)
{
    put_ok(1);
    expect_callback(claim_n(1), secret);
    struct jobq_change c = resume(1, secret, "early");
    is(change(&c), JOBQ_STALE);
    is(c.stale, JOBQ_STALE_STATE);
    is(c.row->state, JOBQ_ROW_RUNNING);
    c.edits = 5;
    c.allowed = RUNNING;
    is(change(&c), JOBQ_OUTDATED);
}

/* The callback overtakes the park: data is stored, edits rise, and the park that follows is told. */
static void callback_before_the_park(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    expect_callback(r, secret);
    struct jobq_change early = by_callback(id(1), secret, RUNNING, JOBQ_ROW_KEEP);
    early.set = JOBQ_SET_DATA | JOBQ_SET_RESUMED;
    early.data = text("early");
    change_ok(early);
    is(row_n(1)->state, JOBQ_ROW_RUNNING);
    is(row_n(1)->resumed, 1);
    struct jobq_change c = park_change(r);
    is(change(&c), JOBQ_OUTDATED);
    is(c.row->resumed, 1);
    c = by_token(c.row, JOBQ_OUTCOME_PARK, JOBQ_ROW_WAITING);
    c.set = JOBQ_SET_RUN_AT;
    c.run_at = from_now(0);
    change_ok(c);
    r = claim_n(1);
    is(r->resumed, 0);
    bytes_are(r->data, text("early"));
}

/* A new token replaces the old one, and what the old one brought. */
static void replaced_callback(void)
{
    park(1);
    change_ok(resume(1, secret, "first"));
    const struct jobq_row *r = claim_n(1);
    expect_callback(r, other_secret);
    is(row_n(1)->has_callback, 1);
    bytes_are(row_n(1)->data, text(NULL));
    change_ok(park_change(r));
    digest_refused(resume(1, secret, "late"));
    change_ok(resume(1, other_secret, "second"));
    bytes_are(claim_n(1)->data, text("second"));
}

static void cleared_callback(void)
{
    const uint8_t zero[32] = { 0 };
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    expect_callback(r, secret);
    expect_callback(r, zero);
    is(row_n(1)->has_callback, 0);
    change_ok(park_change(r));
    digest_refused(resume(1, secret, "x"));
    digest_refused(resume(1, zero, "x"));
}

/* A deadline that passes makes the parked job overdue, not before. */
static void deadline(void)
{
    park(1);
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 0);
    tick(STEP);
    o = overdue(9);
    want(me, &o);
    is(o.row_count, 1);
    is(o.rows[0].overdue, JOBQ_OVERDUE_CALLBACK);
    is(o.rows[0].state, JOBQ_ROW_BLOCKED);
    is(row_n(1)->lease_until_ms, 0);
    struct jobq_change late = by_operator(id(1), BLOCKED, JOBQ_ROW_WAITING);
    late.edits = o.rows[0].edits;
    change_ok(late);
    o = overdue(9);
    want(me, &o);
    is(o.row_count, 0);
    claim_n(1);
}

static const struct test tests[] = {
    { .name = "park blocks until the callback", .run = parks },
    { .name = "resume brings data and makes it due", .run = resumes_with_data },
    { .name = "a second callback is ALREADY (S11)", .run = second_callback },
    { .name = "a forged callback changes no byte (S2)", .run = forged_callback },
    { .name = "the right secret in another state", .run = not_parked },
    { .name = "the callback may come before the park", .run = callback_before_the_park },
    { .name = "a new token replaces the old one", .run = replaced_callback },
    { .name = "a zero digest takes the token away", .run = cleared_callback },
    { .name = "the deadline makes it overdue (rule 11)", .run = deadline },
};
const struct topic topic_park = TOPIC("park", tests);
