/* SPDX-License-Identifier: MIT */
/* Overdue wants: lifecycle rules 2, 4, 5; contract "Wants". */
#include "suite.h"

static struct jobq_want sweep(size_t limit)
{
    struct jobq_want o = overdue(limit);
    want(me, &o);
    return o;
}

static const struct jobq_row *sweep_one(int reason)
{
    struct jobq_want o = sweep(9);
    is(o.row_count, 1);
    is(o.rows[0].overdue, reason);
    return &o.rows[0];
}

/* L2: an orphaned lease is found, whoever looks; S5: nothing but token, fence and lease changes. */
static void lost_lease(void)
{
    put_ok(1);
    struct jobq_row lost = *claim_n(1);
    is(sweep(9).row_count, 0);
    tick(LEASE);
    int64_t before = now_of_store();
    const struct jobq_row *r = sweep_one(JOBQ_OVERDUE_LEASE);
    ids_are(r->id, id(1));
    ok(memcmp(&r->token, &lost.token, sizeof r->token) != 0);
    ok(r->fence > lost.fence);
    ok(r->lease_until_ms >= before + LEASE && r->lease_until_ms <= me->now + LEASE);
    is(r->attempt, 1);
    is(r->failures + r->crashes, 0);
    is(r->started_at_ms, lost.started_at_ms);
    is(r->ran_alone, lost.ran_alone);
    is(r->edits, lost.edits);
    bytes_are(r->worker, text("w"));
    bytes_are(r->payload, text("p"));
    const struct jobq_row *stored = row_n(1);
    is(stored->state, JOBQ_ROW_RUNNING);
    is(stored->outcome, JOBQ_OUTCOME_NONE);
    bytes_are(stored->worker, text("w"));
    is(stored->lease_until_ms, r->lease_until_ms);
    is(sweep(9).row_count, 0);
    struct jobq_change late = completed(&lost, "late");
    is(change(&late), JOBQ_STALE);
    is(late.stale, JOBQ_STALE_OVERTAKEN);
    struct jobq_change judged = failed(r, JOBQ_ROW_WAITING, 0, "lost");
    judged.error_kind = JOBQ_ERROR_LOST;
    change_ok(judged);
    bytes_are(row_n(1)->errors[0].worker, text("w"));
    is(row_n(1)->errors[0].attempt, 1);
}

/* Rule 5 before rule 4. */
static void timeout_before_lost(void)
{
    struct jobq_put p[] = { put_of(1), put_of(2) };
    p[0].timeout_ms = LEASE / 2;
    p[1].timeout_ms = STEP;
    struct jobq_exchange x = { .puts = p, .put_count = 2 };
    go(me, &x);
    claim_n(1);
    claim_n(2);
    tick(LEASE / 2);
    const struct jobq_row *r = sweep_one(JOBQ_OVERDUE_TIMEOUT);
    ids_are(r->id, id(1));
    ok(r->lease_until_ms > me->now); /* the sweeper's lease, stop_at or not */
    is(r->stop_at_ms, row_n(1)->stop_at_ms);
    tick(LEASE / 2);
    struct jobq_want o = sweep(9);
    ok(o.row_count >= 1);
    bool found = false;
    for (size_t i = 0; i < o.row_count; i++)
        if (memcmp(&o.rows[i].id, &p[1].id, sizeof p[1].id) == 0) {
            is(o.rows[i].overdue, JOBQ_OVERDUE_LEASE);
            found = true;
        }
    ok(found);
}

/* If the sweeper dies, the row is overdue again for the same first reason: judged once. */
static void same_reason_again(void)
{
    struct jobq_put p = put_of(1);
    p.timeout_ms = 2 * LEASE;
    is(put(&p), JOBQ_OK);
    claim_n(1);
    tick(LEASE);
    const struct jobq_row *first = sweep_one(JOBQ_OVERDUE_LEASE);
    tick(5 * LEASE); /* stop_at has passed meanwhile */
    const struct jobq_row *second = sweep_one(JOBQ_OVERDUE_LEASE);
    ok(memcmp(&first->token, &second->token, sizeof first->token) != 0);
    struct jobq_change late = failed(first, JOBQ_ROW_DEAD, JOBQ_REASON_POISON, "late");
    is(change(&late), JOBQ_STALE);
    change_ok(failed(second, JOBQ_ROW_WAITING, 0, "lost"));
    claim_n(1);
    tick(3 * LEASE);
    sweep_one(JOBQ_OVERDUE_TIMEOUT); /* a claim begins anew */
}

static void expired(void)
{
    struct jobq_put p[] = { put_of(1), put_of(2), put_of(3), put_of(4) };
    for (int i = 0; i < 3; i++)
        p[i].expires_at = from_now(STEP);
    p[1].held = 1;
    p[2].run_at = from_now(9 * STEP);
    struct jobq_exchange x = { .puts = p, .put_count = 4 };
    go(me, &x);
    is(sweep(9).row_count, 0);
    tick(STEP);
    struct jobq_want o = sweep(9);
    is(o.row_count, 3);
    for (size_t i = 0; i < 3; i++) {
        is(o.rows[i].overdue, JOBQ_OVERDUE_EXPIRED);
        is(o.rows[i].attempt, 0);
        is(o.rows[i].lease_until_ms, 0);
    }
    is(row_n(1)->state, JOBQ_ROW_WAITING);
    is(row_n(2)->state, JOBQ_ROW_BLOCKED);
    is(sweep(9).row_count, 3); /* unleased: given again until judged */
    struct jobq_change dead = by_operator(id(1), JOBQ_ROW_BIT(JOBQ_ROW_WAITING), JOBQ_ROW_DEAD), again;
    dead.reason = JOBQ_REASON_EXPIRED;
    dead.edits = o.rows[0].edits;
    again = dead;
    change_ok(dead);
    is(change(&again), JOBQ_STALE);
    is(sweep(9).row_count, 2);
}

/* A running job is past its expiry without harm. */
static void running_does_not_expire(void)
{
    struct jobq_put p = put_of(1);
    p.expires_at = from_now(LEASE / 2);
    is(put(&p), JOBQ_OK);
    const struct jobq_row *r = claim_n(1);
    tick(LEASE / 2);
    is(sweep(9).row_count, 0);
    change_ok(completed(r, "r"));
    is(sweep(9).row_count, 0);
}

/* It obeys neither queues nor kinds nor pauses: a lost job in a paused queue is found. */
static void obeys_nothing(void)
{
    struct jobq_put p = put_of(1);
    p.kind = text("nobody knows");
    is(put(&p), JOBQ_OK);
    claim_n(1);
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_PAUSED,
                               .name = text("q"), .paused = 1 };
    is(configure(&s), JOBQ_OK);
    tick(LEASE);
    const struct jobq_bytes other = text("other");
    struct jobq_want o = overdue(9);
    o.queues = o.kinds = &other;
    o.queue_count = o.kind_count = 1;
    want(me, &o);
    is(o.row_count, 1);
}

static void oldest_first_and_limit(void)
{
    static const uint32_t order[] = { 3, 1, 2 };
    for (uint32_t i = 0; i < 3; i++) {
        put_ok(order[i]);
        claim_n(order[i]);
        tick(1000);
    }
    tick(LEASE);
    struct jobq_want o = sweep(2);
    is(o.row_count, 2);
    ids_are(o.rows[0].id, id(3));
    ids_are(o.rows[1].id, id(1));
    ok(memcmp(&o.rows[0].token, &o.rows[1].token, sizeof o.token) == 0);
    o = sweep(2);
    is(o.row_count, 1);
    ids_are(o.rows[0].id, id(2));
}

/* S4: two sweepers never hold the same row. */
static void two_sweepers(void)
{
    for (uint32_t i = 0; i < 4; i++) {
        put_ok(i);
        claim_n(i);
    }
    tick(LEASE);
    struct jobq_want mine = sweep(2), yours = overdue(9);
    want(another(), &yours);
    is(mine.row_count, 2);
    is(yours.row_count, 2);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 2; j++)
            ok(memcmp(&mine.rows[i].id, &yours.rows[j].id, sizeof(struct jobq_id)) != 0);
}

/* A swept row runs no more for whoever was judged; it comes back by an ordinary claim. */
static void back_to_work(void)
{
    put_ok(1);
    claim_n(1);
    tick(LEASE);
    change_ok(failed(sweep_one(JOBQ_OVERDUE_LEASE), JOBQ_ROW_WAITING, 0, "lost"));
    const struct jobq_row *r = claim_n(1);
    is(r->attempt, 2);
    is(r->failures, 1);
    is(sweep(9).row_count, 0);
}

static void bytes_of_a_sweep(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct jobq_put p = put_of(i);
        p.payload = text("0123456789");
        is(put(&p), JOBQ_OK);
        claim_n(i);
    }
    tick(LEASE);
    struct jobq_want o = overdue(9);
    o.bytes = 25;
    want(me, &o);
    is(o.row_count, 2);
    is(o.more, 1);
    is(sweep(9).row_count, 1);
}

static void nothing_overdue(void)
{
    put_ok(1);
    struct jobq_want o = sweep(9);
    const struct jobq_token none = { 0 };
    is(o.row_count, 0);
    is(o.more, 0);
    ok(memcmp(&o.token, &none, sizeof none) == 0);
}

static const struct test tests[] = {
    { .name = "a lease past is found and leased anew (L2, rule 4)", .run = lost_lease },
    { .name = "timeout goes before lost lease (rule 5)", .run = timeout_before_lost },
    { .name = "a sweeper that dies: same reason again", .run = same_reason_again },
    { .name = "expired rows, waiting and blocked (rule 1)", .run = expired },
    { .name = "what runs does not expire", .run = running_does_not_expire },
    { .name = "obeys no queue, kind or pause", .run = obeys_nothing },
    { .name = "oldest first, up to the limit", .run = oldest_first_and_limit },
    { .name = "two sweepers never hold the same row (S4)", .run = two_sweepers },
    { .name = "a judged row comes back", .run = back_to_work },
    { .name = "bytes", .run = bytes_of_a_sweep },
    { .name = "nothing overdue: no rows, no token", .run = nothing_overdue },
};
const struct topic topic_overdue = TOPIC("overdue", tests);
