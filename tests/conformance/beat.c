/* SPDX-License-Identifier: MIT */
/* Heartbeats: lifecycle rules 2, 5, 6, 7; contract "Changes", "Token". */
#include "suite.h"

static struct jobq_beat beat(const struct jobq_token *token, int64_t lease_ms, uint32_t flags)
{
    struct jobq_beat b = { .token = *token, .lease_ms = lease_ms, .flags = flags };
    struct jobq_exchange x = { .beats = &b, .beat_count = 1 };
    go(me, &x);
    return b;
}

static struct jobq_want claim_many(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        put_ok(i);
    struct jobq_want w = due(count);
    want(me, &w);
    is(w.row_count, count);
    return w;
}

/* One beat for the whole want. */
static void extends_every_row(void)
{
    struct jobq_want w = claim_many(3);
    int64_t before = w.rows[0].lease_until_ms;
    change_ok(completed(&w.rows[1], "r"));
    tick(LEASE / 2);
    struct jobq_beat b = beat(&w.token, LEASE, 0);
    is(b.held, 2);
    is(b.mark_count, 0);
    ok(row_n(0)->lease_until_ms >= before + LEASE / 2);
    is(row_n(2)->lease_until_ms, row_n(0)->lease_until_ms);
    is(row_n(1)->lease_until_ms, 0);
    is(row_n(0)->edits, 0);
    is(row_n(0)->outcome, JOBQ_OUTCOME_NONE);
    tick(LEASE * 3 / 4);
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 0);
}

static void never_shortens(void)
{
    struct jobq_want w = claim_many(1);
    int64_t before = w.rows[0].lease_until_ms;
    is(beat(&w.token, 100, 0).held, 1);
    is(row_n(0)->lease_until_ms, before);
}

/* Late, and nobody came: still held. */
static void late_beat(void)
{
    struct jobq_want w = claim_many(1);
    tick(10 * LEASE);
    is(beat(&w.token, LEASE, 0).held, 1);
    ok(row_n(0)->lease_until_ms > me->now);
}

static void unknown_token(void)
{
    struct jobq_want w = claim_many(1);
    char *memory = remember(id(0));
    struct jobq_token other = w.token;
    other.bytes[15] ^= 1;
    is(beat(&other, LEASE, 0).held, 0);
    is(beat(&other, LEASE, JOBQ_BEAT_RELEASE).held, 0);
    is_as_remembered(id(0), memory);
}

/* Rule 2: who was swept learns that it holds nothing. */
static void swept_token(void)
{
    struct jobq_want w = claim_many(1);
    tick(LEASE);
    struct jobq_want o = overdue(1);
    want(another(), &o);
    is(o.row_count, 1);
    is(beat(&w.token, LEASE, 0).held, 0);
    is(beat(&o.token, LEASE, 0).held, 1);
}

/* Rule 6: a soft cancel is told with the beat. */
static void marks_cancel_asked(void)
{
    struct jobq_want w = claim_many(3);
    struct jobq_change c = by_operator(id(1), JOBQ_ROW_BIT(JOBQ_ROW_RUNNING), JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_CANCEL_ASKED;
    change_ok(c);
    struct jobq_beat b = beat(&w.token, LEASE, 0);
    is(b.held, 3);
    is(b.mark_count, 1);
    ids_are(b.marks[0].id, id(1));
    is(b.marks[0].cancel_asked, 1);
    is(b.marks[0].edits, 1);
    ok(!b.marks[0].payload.data && !b.marks[0].result.data);
}

/* Rule 5: past the timeout the beat refuses to extend and says so; the others go on. */
static void refuses_past_the_timeout(void)
{
    struct jobq_put p[] = { put_of(0), put_of(1) };
    p[0].timeout_ms = STEP;
    struct jobq_exchange x = { .puts = p, .put_count = 2 };
    go(me, &x);
    struct jobq_want w = due(2);
    want(me, &w);
    tick(STEP - LEASE);
    is(beat(&w.token, 5 * LEASE, 0).mark_count, 0);
    is(row_n(0)->lease_until_ms, w.rows[0].stop_at_ms);
    tick(2 * LEASE);
    struct jobq_beat b = beat(&w.token, 5 * LEASE, 0);
    is(b.held, 2);
    is(b.mark_count, 1);
    ids_are(b.marks[0].id, id(0));
    is(row_n(0)->lease_until_ms, w.rows[0].stop_at_ms);
    ok(row_n(1)->lease_until_ms > me->now);
}

/* What was not extended before its time was over stays as it was. */
static void silent_past_the_timeout(void)
{
    struct jobq_put p = put_of(0);
    p.timeout_ms = STEP;
    is(put(&p), JOBQ_OK);
    const struct jobq_row *r = claim_n(0);
    tick(STEP);
    struct jobq_beat b = beat(&r->token, LEASE, 0);
    is(b.held, 1);
    is(b.mark_count, 1);
    is(row_n(0)->lease_until_ms, r->lease_until_ms);
}

/* Rule 7, contract "Token": give back what is held, in its place, at no cost. */
static void releases_all(void)
{
    struct jobq_want w = claim_many(3);
    change_ok(completed(&w.rows[0], "r"));
    struct jobq_beat b = beat(&w.token, LEASE, JOBQ_BEAT_RELEASE);
    is(b.held, 2);
    const struct jobq_row *r = row_n(1);
    is(r->state, JOBQ_ROW_WAITING);
    is(r->outcome, JOBQ_OUTCOME_RELEASE);
    is(r->releases, 1);
    is(r->failures, 0);
    is(r->lease_until_ms, 0);
    is(r->run_at_ms, w.rows[1].run_at_ms);
    is(r->due, 1);
    is(r->edits, 0);
    is(row_n(0)->state, JOBQ_ROW_COMPLETED);
    struct jobq_change again = by_token(&w.rows[1], JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING);
    is(change(&again), JOBQ_ALREADY);
    struct jobq_change late = completed(&w.rows[1], "late");
    is(change(&late), JOBQ_STALE);
    claim_n(1);
    claim_n(2);
}

/* A worker that gave a request up knows the random half only. */
static void knows_the_mint_only(void)
{
    struct jobq_want w = claim_many(2);
    put_ok(9);
    const struct jobq_row *other = claim_n(9);
    struct jobq_token mint = w.token;
    memset(mint.bytes + 8, 0xff, 8);
    is(beat(&mint, LEASE, JOBQ_BEAT_MINT).held, 2);
    is(beat(&mint, LEASE, JOBQ_BEAT_RELEASE).held, 0);
    is(beat(&mint, LEASE, JOBQ_BEAT_MINT | JOBQ_BEAT_RELEASE).held, 2);
    is(row_n(0)->state, JOBQ_ROW_WAITING);
    is(row(other->id)->state, JOBQ_ROW_RUNNING);
}

/* Beats come first in the unit. */
static void before_changes(void)
{
    struct jobq_want w = claim_many(1);
    struct jobq_beat b = { .token = w.token, .lease_ms = LEASE };
    struct jobq_change c = completed(&w.rows[0], "r");
    struct jobq_exchange x = { .beats = &b, .beat_count = 1, .changes = &c, .change_count = 1 };
    go(me, &x);
    is(b.held, 1);
    is(c.verdict, JOBQ_OK);
    struct jobq_beat r = { .token = w.token, .flags = JOBQ_BEAT_RELEASE };
    x = (struct jobq_exchange){ .beats = &r, .beat_count = 1 };
    go(me, &x);
    is(r.held, 0);
}

static void saturates(void)
{
    struct jobq_want w = claim_many(1);
    is(beat(&w.token, INT64_MAX, 0).held, 1);
    is(row_n(0)->lease_until_ms, INT64_MAX);
}

static const struct test tests[] = {
    { .name = "extends every row of the want", .run = extends_every_row },
    { .name = "never shortens a lease", .run = never_shortens },
    { .name = "late but not overtaken (rule 2)", .run = late_beat },
    { .name = "another token extends nothing (S2)", .run = unknown_token },
    { .name = "a swept token holds nothing (rule 2)", .run = swept_token },
    { .name = "marks those asked to cancel (rule 6)", .run = marks_cancel_asked },
    { .name = "refuses past the timeout and marks it (rule 5)", .run = refuses_past_the_timeout },
    { .name = "past the timeout the lease stays as it was (rule 5)", .run = silent_past_the_timeout },
    { .name = "release gives back in place (rule 7)", .run = releases_all },
    { .name = "the random half is enough to release", .run = knows_the_mint_only },
    { .name = "comes before the changes", .run = before_changes },
    { .name = "saturates", .run = saturates },
};
const struct topic topic_beat = TOPIC("beat", tests);
