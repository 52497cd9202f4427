/* SPDX-License-Identifier: MIT */
/* Many plain jobs at a time: heartbeats, leases that run out, sweeps: lifecycle rules 2, 4, 7; L2; see batch_kit.h. */
#include "batch_kit.h"

static struct jobq_beat beat(const struct jobq_token *token, int64_t lease_ms, uint32_t flags)
{
    struct jobq_beat b = { .token = *token, .lease_ms = lease_ms, .flags = flags };
    struct jobq_exchange x = { .beats = &b, .beat_count = 1 };
    go(me, &x);
    return b;
}

static struct jobq_want sweep(struct actor *who, size_t limit)
{
    struct jobq_want o = overdue(limit);
    want(who, &o);
    return o;
}

/* Those of the batch from `from` on were swept: new token and lease, all else as the lost holder left it. */
static void swept(const struct jobq_want *o, size_t at, const struct batch *b, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct jobq_row *r = &o->rows[at + i];
        struct jobq_row expected = as_claimed(number_of(&b->w.rows[from + i]), &b->w);
        expected.token = o->token;
        expected.fence = fence_in(&o->token);
        expected.lease_until_ms = r->lease_until_ms;
        ok(r->lease_until_ms > b->w.rows[0].lease_until_ms && r->lease_until_ms <= clock_of_store() + o->lease_ms);
        row_is(row(r->id), &expected);
        expected.overdue = JOBQ_OVERDUE_LEASE;
        row_is(r, &expected);
    }
}

static void extended_are(const struct batch *b, size_t from, size_t count, int64_t until_from, int64_t until_to)
{
    int64_t until = row(b->w.rows[from].id)->lease_until_ms;
    ok(until >= until_from && until <= until_to);
    for (size_t i = from; i < from + count; i++) {
        struct jobq_row expected = as_claimed(number_of(&b->w.rows[i]), &b->w);
        expected.lease_until_ms = until;
        row_is(row(expected.id), &expected);
    }
}

/* ---- heartbeats ---------------------------------------------------------------------------------------------------- */

static void a_beat_for_all(void)
{
    struct batch b = begun(false);
    tick(LEASE / 2);
    int64_t from = clock_of_store();
    struct jobq_beat one = beat(&b.w.token, LEASE, 0);
    is(one.held, MANY);
    is(one.mark_count, 0);
    extended_are(&b, 0, MANY, from + LEASE, clock_of_store() + LEASE);
    tick(LEASE * 3 / 4);
    is(sweep(me, 100).row_count, 0);
    is(beat(&b.w.token, 100, 0).held, MANY); /* never shorter */
    extended_are(&b, 0, MANY, from + LEASE, clock_of_store() + LEASE / 4);
    ack(&b, 0, MANY);
    is_over(&b, 0, MANY);
    is(beat(&b.w.token, LEASE, 0).held, 0);
    is_over(&b, 0, MANY);
}

static void a_beat_for_the_rest(void)
{
    struct batch b = begun(false);
    ack(&b, 0, 10);
    tick(LEASE / 2);
    int64_t from = clock_of_store();
    is(beat(&b.w.token, LEASE, 0).held, 14);
    is_over(&b, 0, 10);
    extended_are(&b, 10, 14, from + LEASE, clock_of_store() + LEASE);
    ack(&b, 10, 1);
    change_ok(by_token(&b.w.rows[11], JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    tick(LEASE / 4);
    from = clock_of_store();
    is(beat(&b.w.token, LEASE, 0).held, 12);
    extended_are(&b, 12, 12, from + LEASE, clock_of_store() + LEASE);
    is(row_n(11)->state, JOBQ_ROW_WAITING);
    is(beat(&b.w.token, LEASE, 0).held, 12);
}

static void another_tokens_beat(struct batch *b)
{
    struct jobq_token forged = b->w.token;
    put_many(100, 10);
    struct batch other = claim_many(me, 10);
    forged.bytes[0] ^= 1;
    is(beat(&forged, 9 * LEASE, 0).held, 0);
    is(beat(&forged, LEASE, JOBQ_BEAT_RELEASE).held, 0);
    forged = b->w.token;
    forged.bytes[15] ^= 1;
    is(beat(&forged, 9 * LEASE, 0).held, 0);
    is(beat(&other.w.token, 9 * LEASE, 0).held, 10);
    all_but(b, 0);
    ok(row_n(100)->lease_until_ms > other.w.rows[0].lease_until_ms);
}
EITHER(another_tokens_beat)

/* One whose lease was extended by itself keeps the longer one. */
static void a_beat_and_one_with_a_longer_lease(void)
{
    struct batch b = begun(false);
    struct jobq_change c = by_token(&b.w.rows[7], JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_LEASE;
    c.lease_ms = 5 * LEASE;
    change_ok(c);
    int64_t longer = row_n(7)->lease_until_ms;
    tick(LEASE / 2);
    int64_t from = clock_of_store();
    is(beat(&b.w.token, LEASE, 0).held, MANY);
    is(row_n(7)->lease_until_ms, longer);
    extended_are(&b, 0, 7, from + LEASE, clock_of_store() + LEASE);
    extended_are(&b, 8, MANY - 8, from + LEASE, clock_of_store() + LEASE);
    tick(5 * LEASE / 4);
    is(sweep(me, 100).row_count, MANY - 1);
}

/* Rule 7: all that is left goes back in its place. */
static void given_back_by_a_beat(void)
{
    struct batch b = begun(false);
    put_many(100, 2);
    ack(&b, 0, 9);
    is(beat(&b.w.token, LEASE, JOBQ_BEAT_RELEASE).held, 15);
    for (uint32_t i = 9; i < MANY; i++) {
        struct jobq_row r = as_claimed(i, &b.w);
        r.state = JOBQ_ROW_WAITING;
        r.outcome = JOBQ_OUTCOME_RELEASE;
        r.due = 1;
        r.releases = 1;
        r.lease_until_ms = 0;
        row_is(row_n(i), &r);
    }
    is_over(&b, 0, 9);
    is(beat(&b.w.token, LEASE, 0).held, 0);
    struct jobq_change *late = acks(&b, 0, MANY);
    send(me, late, MANY);
    for (size_t i = 0; i < MANY; i++)
        is(late[i].verdict, i < 9 ? JOBQ_ALREADY : JOBQ_STALE);
    struct jobq_want w = due(100); /* a second attempt, and two first ones, under one token */
    want(me, &w);
    is(w.row_count, 17);
    for (uint32_t i = 0; i < 17; i++) {
        ids_are(w.rows[i].id, id(i < 15 ? 9 + i : 85 + i));
        is(w.rows[i].attempt, i < 15 ? 2 : 1);
        is(w.rows[i].releases, i < 15);
        is(row(w.rows[i].id)->attempt, i < 15 ? 2 : 1);
    }
    struct batch next = { .w = w };
    ack(&next, 0, 17);
    is(row_n(9)->attempt, 2);
    is(row_n(9)->releases, 1);
    is(row_n(100)->attempt, 1);
    counts("q", 0, 0, MANY + 2);
}

/* A worker that gave a request up knows the random half only. */
static void known_by_the_mint(void)
{
    struct batch b = begun(false);
    struct jobq_token mint = b.w.token;
    memset(mint.bytes + 8, 0xff, 8);
    tick(LEASE / 2);
    int64_t from = clock_of_store();
    is(beat(&mint, LEASE, JOBQ_BEAT_MINT).held, MANY);
    extended_are(&b, 0, MANY, from + LEASE, clock_of_store() + LEASE);
    is(beat(&mint, LEASE, 0).held, 0);
    ack(&b, 0, 8);
    is(beat(&mint, LEASE, JOBQ_BEAT_MINT | JOBQ_BEAT_RELEASE).held, MANY - 8);
    counts("q", MANY - 8, 0, 8);
}

/* Beats come first in the unit. */
static void a_release_before_acks(void)
{
    struct batch b = begun(false);
    struct jobq_beat back = { .token = b.w.token, .flags = JOBQ_BEAT_RELEASE };
    struct jobq_change *c = acks(&b, 0, MANY);
    struct jobq_exchange x = { .beats = &back, .beat_count = 1, .changes = c, .change_count = MANY };
    go(me, &x);
    is(back.held, MANY);
    for (size_t i = 0; i < MANY; i++) {
        is(c[i].verdict, JOBQ_STALE);
        is(c[i].stale, JOBQ_STALE_OUTCOME);
    }
    counts("q", MANY, 0, 0);
}

static void a_beat_before_acks(void)
{
    struct batch b = begun(false);
    tick(LEASE / 2);
    struct jobq_beat one = { .token = b.w.token, .lease_ms = LEASE };
    struct jobq_change *c = acks(&b, 0, 10);
    struct jobq_exchange x = { .beats = &one, .beat_count = 1, .changes = c, .change_count = 10 };
    b.ended_from = clock_of_store();
    go(me, &x);
    b.ended_to = clock_of_store();
    is(one.held, MANY);
    is_over(&b, 0, 10);
    extended_are(&b, 10, MANY - 10, b.ended_from + LEASE, b.ended_to + LEASE);
}

/* S11: said twice it acts once. */
static void a_repeated_beat(void)
{
    struct batch b = begun(false);
    struct jobq_beat one = { .token = b.w.token, .lease_ms = 2 * LEASE };
    struct jobq_exchange x = { .beats = &one, .beat_count = 1 };
    go(me, &x);
    int64_t until = row_n(0)->lease_until_ms;
    tick(LEASE / 2);
    one.held = 0;
    go(me, &x);
    is(one.held, MANY);
    is(row_n(0)->lease_until_ms, until);
}

/* ---- leases that run out ----------------------------------------------------------------------------------------------- */

static void a_lost_lease(void)
{
    struct batch b = begun(false);
    is(sweep(me, 100).row_count, 0);
    tick(LEASE);
    runs(&b, 0, MANY); /* nobody has come yet */
    struct jobq_want o = sweep(another(), 100);
    is(o.row_count, MANY);
    swept(&o, 0, &b, 0, MANY);
    is(sweep(me, 100).row_count, 0);
    is(beat(&b.w.token, LEASE, 0).held, 0);
    is(beat(&o.token, LEASE, 0).held, MANY);
    struct jobq_change *late = acks(&b, 0, MANY);
    send(me, late, MANY);
    for (size_t i = 0; i < MANY; i++) {
        is(late[i].verdict, JOBQ_STALE);
        is(late[i].stale, JOBQ_STALE_OVERTAKEN);
    }
    ok(none_due());
    counts("q", 0, MANY, 0);
}

/* Only what is still held is lost. */
static void a_lost_lease_of_the_rest(void)
{
    struct batch b = begun(false);
    ack(&b, 0, 9);
    struct jobq_change back = by_token(&b.w.rows[9], JOBQ_OUTCOME_SNOOZE, JOBQ_ROW_WAITING);
    back.set = JOBQ_SET_RUN_AT;
    back.run_at = from_now(STEP);
    change_ok(back);
    change_ok(plain_ack(&b.w.rows[10]));
    tick(LEASE);
    is(queue_stats("q").stuck, 13);
    struct jobq_want o = sweep(me, 100);
    is(o.row_count, 13);
    swept(&o, 0, &b, 11, 13);
    is_over(&b, 0, 9);
    is(queue_stats("q").stuck, 0);
    counts("q", 1, 13, 10);
}

/* In small portions: each row once. */
static void swept_in_portions(void)
{
    static const size_t limits[] = { 5, 1, 8, 7, 100 };
    struct batch b = begun(false);
    size_t found = 0;
    bool seen[MANY] = { false };
    tick(LEASE);
    for (int portion = 0; portion < 5; portion++) {
        size_t left = MANY - found;
        struct jobq_want o = sweep(me, limits[portion]);
        is(o.row_count, limits[portion] < left ? limits[portion] : left);
        found += o.row_count;
        for (size_t i = 0; i < o.row_count; i++) {
            uint32_t n = number_of(&o.rows[i]);
            ok(n < MANY && !seen[n]);
            seen[n] = true;
            swept(&o, i, &b, n, 1);
        }
        is(beat(&b.w.token, 1, 0).held, MANY - found); /* so late that it extends only what nobody took */
        tick(10);
    }
    is(found, MANY);
    is(sweep(me, 9).row_count, 0);
}

/* Rule 2: what nobody swept is still held, however late. */
static void late_and_swept_in_part(void)
{
    struct batch b = begun(false);
    tick(2 * LEASE);
    struct jobq_want o = sweep(another(), 10);
    is(o.row_count, 10);
    bool taken[MANY] = { false };
    for (size_t i = 0; i < 10; i++)
        taken[number_of(&o.rows[i])] = true;
    struct jobq_change *c = acks(&b, 0, MANY);
    b.ended_from = clock_of_store();
    send(me, c, MANY);
    b.ended_to = clock_of_store();
    for (size_t i = 0; i < MANY; i++) {
        is(c[i].verdict, taken[i] ? JOBQ_STALE : JOBQ_OK);
        if (!taken[i])
            is_over(&b, i, 1);
    }
    counts("q", 0, 10, 14);
}

static void late_and_not_swept(void)
{
    struct batch b = begun(false);
    tick(100 * LEASE);
    is(beat(&b.w.token, LEASE, 0).held, MANY);
    is(sweep(me, 100).row_count, 0);
    tick(100 * LEASE);
    ack(&b, 0, 20);
    is_over(&b, 0, 20);
    is(sweep(me, 100).row_count, 4);
}

/* Oldest lease first, over several batches. */
static void leases_of_several(void)
{
    put_many(0, 40);
    struct batch a = claim_many(me, 10);
    struct jobq_want longer = due(10);
    longer.lease_ms = 3 * LEASE;
    struct batch b = claim_as(me, longer, 10);
    tick(1000);
    struct batch c = claim_many(me, 10);
    tick(1000);
    struct batch d = claim_many(me, 1);
    tick(LEASE - 2000);
    struct jobq_want o = sweep(me, 100);
    is(o.row_count, 10);
    swept(&o, 0, &a, 0, 10);
    tick(2000);
    o = sweep(me, 5);
    is(o.row_count, 5);
    for (size_t i = 0; i < 5; i++)
        ok(number_of(&o.rows[i]) >= 20 && number_of(&o.rows[i]) < 30);
    o = sweep(me, 6);
    is(o.row_count, 6);
    swept(&o, 5, &d, 0, 1);
    runs(&b, 0, 10);
    runs(&c, 0, 0);
    tick(2 * LEASE);
    is(sweep(me, 100).row_count, 31);
}

static void bytes_of_a_sweep(void)
{
    struct batch b = begun(false);
    tick(LEASE);
    struct jobq_want o = overdue(100);
    o.bytes = 10; /* of a byte each */
    want(me, &o);
    is(o.row_count, 10);
    is(o.more, 1);
    is(beat(&b.w.token, LEASE, 0).held, 14);
    is(beat(&o.token, LEASE, 0).held, 10);
}

/* What ended is never overdue. */
static void nothing_of_what_ended(void)
{
    struct batch b = begun(true);
    tick(100 * LEASE);
    is(sweep(me, 100).row_count, 0);
    is(queue_stats("q").stuck, 0);
    is_over(&b, 0, MANY);
}

/* Judged and back: the second attempt of all of them. */
static void back_after_a_sweep(void)
{
    struct batch b = begun(false);
    tick(LEASE);
    struct jobq_want o = sweep(me, 100);
    is(o.row_count, MANY);
    swept(&o, 0, &b, 0, MANY);
    struct jobq_change c[MANY];
    for (size_t i = 0; i < MANY; i++) {
        c[i] = failed(&o.rows[i], JOBQ_ROW_WAITING, 0, "lost");
        c[i].error_kind = JOBQ_ERROR_LOST;
    }
    send(me, c, MANY);
    struct jobq_want w = due(100);
    want(me, &w);
    is(w.row_count, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        const struct jobq_row *r = row(w.rows[i].id);
        ids_are(r->id, id(i));
        is(r->attempt, 2);
        is(r->failures, 1);
        is(r->error_count, 1);
        is(r->errors[0].attempt, 1);
        bytes_are(r->errors[0].worker, text("w"));
    }
    struct batch next = { .w = w };
    ack(&next, 0, MANY);
    is(row_n(3)->failures, 1);
    counts("q", 0, 0, MANY);
}

/* ---- what is due next ----------------------------------------------------------------------------------------------------- */

static int64_t next_due(void)
{
    struct jobq_exchange x = { .size = sizeof x };
    go(me, &x);
    return x.next_due_ms;
}

static void next_is_the_lease(void)
{
    struct batch b = begun(false);
    struct jobq_want longer = due(10);
    longer.lease_ms = 5 * LEASE;
    int64_t until = b.w.rows[0].lease_until_ms;
    is(next_due(), until);
    put_many(100, 10);
    struct batch second = claim_as(me, longer, 10);
    is(next_due(), until);
    is(beat(&b.w.token, 2 * LEASE, 0).held, MANY);
    int64_t extended = row_n(0)->lease_until_ms;
    is(next_due(), extended);
    ack(&b, 0, 12);
    is(next_due(), extended);
    ack(&b, 12, 12);
    is(next_due(), second.w.rows[0].lease_until_ms);
    ack(&second, 0, 9);
    is(next_due(), second.w.rows[0].lease_until_ms);
    ack(&second, 9, 1);
    is(next_due(), INT64_MAX);
}

/* Of what ended by itself, or was dropped, no lease is left either. */
static void next_when_some_left_by_themselves(void)
{
    struct batch b = begun(false);
    int64_t until = b.w.rows[0].lease_until_ms;
    change_ok(failed(&b.w.rows[5], JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e"));
    change_ok(by_operator(id(6), ANY_STATE, JOBQ_ROW_GONE));
    is(next_due(), until);
    ack(&b, 0, 5);
    ack(&b, 7, MANY - 8);
    is(next_due(), until);
    ack(&b, MANY - 1, 1);
    is(next_due(), INT64_MAX);
    tick(2 * LEASE);
    is(next_due(), INT64_MAX);
    is(sweep(me, 100).row_count, 0);
}

/* Each of them for a reason of its own, and none by a plain ack. */
static void next_when_all_left_by_themselves(void)
{
    struct batch b = begun(false);
    struct jobq_change c[MANY];
    for (size_t i = 0; i < MANY; i++) {
        c[i] = completed(&b.w.rows[i], "r");
        if (i % 2)
            c[i] = by_operator(b.w.rows[i].id, LIVE, JOBQ_ROW_CANCELLED);
    }
    send(me, c, MANY);
    is(next_due(), INT64_MAX);
    tick(2 * LEASE);
    is(sweep(me, 100).row_count, 0);
    is(queue_stats("q").stuck, 0);
}

/* In a unit that has nothing but beats. */
static void next_when_all_were_given_back(void)
{
    struct batch b = begun(false);
    struct jobq_beat beats[] = { { .token = b.w.token, .lease_ms = 3 * LEASE },
                                 { .token = b.w.token, .flags = JOBQ_BEAT_RELEASE } };
    struct jobq_exchange x = { .beats = beats, .beat_count = 2 };
    go(me, &x);
    is(beats[0].held, MANY);
    is(beats[1].held, MANY);
    is(x.next_due_ms, INT64_MAX);
    is(next_due(), INT64_MAX);
}

/* What is past is no longer next; what was swept has a lease again. */
static void next_after_a_lost_lease(void)
{
    struct batch b = begun(false);
    tick(LEASE);
    ok(next_due() > clock_of_store());
    struct jobq_want o = sweep(me, 10);
    is(o.row_count, 10);
    is(next_due(), o.rows[0].lease_until_ms);
    is(beat(&b.w.token, 3 * LEASE, 0).held, 14);
    is(next_due(), o.rows[0].lease_until_ms);
}

static const struct test tests[] = {
    ONE("a beat for all of them", a_beat_for_all, 0),
    ONE("a beat for the rest", a_beat_for_the_rest, 0),
    BOTH("another token's beat (S2)", another_tokens_beat, 0),
    ONE("a beat, and one with a longer lease", a_beat_and_one_with_a_longer_lease, 0),
    ONE("given back by a beat (rule 7)", given_back_by_a_beat, 0),
    ONE("known by the random half", known_by_the_mint, 0),
    ONE("a release before acks", a_release_before_acks, 0),
    ONE("a beat before acks", a_beat_before_acks, 0),
    ONE("a repeated beat (S11)", a_repeated_beat, 0),
    ONE("a lost lease (rule 4, L2)", a_lost_lease, 0),
    ONE("a lost lease of the rest (rule 4)", a_lost_lease_of_the_rest, 0),
    ONE("swept in portions", swept_in_portions, 0),
    ONE("late, and swept in part (rule 2)", late_and_swept_in_part, 0),
    ONE("late, and not swept (rule 2)", late_and_not_swept, 0),
    ONE("leases of several", leases_of_several, 0),
    ONE("bytes of a sweep", bytes_of_a_sweep, 0),
    ONE("nothing of what ended", nothing_of_what_ended, 0),
    ONE("back after a sweep", back_after_a_sweep, 0),
    ONE("next is the lease", next_is_the_lease, 0),
    ONE("next when some left by themselves", next_when_some_left_by_themselves, 0),
    ONE("next when all left by themselves", next_when_all_left_by_themselves, 0),
    ONE("next when all were given back", next_when_all_were_given_back, 0),
    ONE("next after a lost lease", next_after_a_lost_lease, 0),
};
const struct topic topic_batch_time = TOPIC("batch time", tests);
