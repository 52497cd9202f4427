/* SPDX-License-Identifier: MIT */
/* Wants that are due: lifecycle rules 1, 2, 4, 10; contract "Wants". */
#include "suite.h"

static struct jobq_want want_rows(struct jobq_want w)
{
    want(me, &w);
    return w;
}

/* Order by rank, then by arrival in the store, not by id. */
static void order_of_arrival(void)
{
    static const uint32_t order[] = { 5, 3, 9, 1 };
    struct jobq_put p[4];
    for (int i = 0; i < 4; i++)
        p[i] = put_of(order[i]);
    struct jobq_exchange x = { .puts = p, .put_count = 4 };
    go(me, &x);
    struct jobq_want w = want_rows(due(3));
    is(w.row_count, 3);
    for (int i = 0; i < 3; i++)
        ids_are(w.rows[i].id, id(order[i]));
    claim_n(1);
    ok(none_due());
}

/* L4: rank = run_at + rank_add, smaller first. */
static void order_of_rank(void)
{
    int64_t now = now_of_store();
    struct jobq_put p[4];
    const int64_t run_at[] = { now - 100, now - 300, now - 200, now - 100 };
    const int64_t add[] = { 0, 150, 0, -250 };
    static const uint32_t expected[] = { 3, 2, 1, 0 }; /* ranks -100 -150 -200 -350 */
    for (uint32_t i = 0; i < 4; i++) {
        p[i] = put_of(i);
        p[i].run_at = at(run_at[i]);
        p[i].rank_add_ms = add[i];
    }
    struct jobq_exchange x = { .puts = p, .put_count = 4 };
    go(me, &x);
    for (int i = 0; i < 4; i++)
        claim_n(expected[i]);
}

static void rank_saturates(void)
{
    struct jobq_put p[3];
    const int64_t add[] = { INT64_MAX, INT64_MIN, 0 };
    for (uint32_t i = 0; i < 3; i++) {
        p[i] = put_of(i);
        p[i].rank_add_ms = add[i];
        p[i].run_at = at(i == 1 ? -5 : 5);
    }
    struct jobq_exchange x = { .puts = p, .put_count = 3 };
    go(me, &x);
    claim_n(1);
    claim_n(2);
    claim_n(0);
}

/* S5: the attempt is counted in the claim; what else a claim sets. */
static void stamps(void)
{
    struct jobq_put p = put_of(1);
    p.timeout_ms = 4 * LEASE;
    is(put(&p), JOBQ_OK);
    int64_t before = now_of_store();
    const struct jobq_row *r = claim_n(1);
    is(r->state, JOBQ_ROW_RUNNING);
    is(r->attempt, 1);
    is(r->outcome, JOBQ_OUTCOME_NONE);
    is(r->due, 0);
    bytes_are(r->worker, text("w"));
    bytes_are(r->payload, text("p"));
    ok(r->started_at_ms >= before && r->started_at_ms <= me->now);
    is(r->lease_until_ms, r->started_at_ms + LEASE);
    is(r->stop_at_ms, r->started_at_ms + 4 * LEASE);
    is(r->edits, 0);
    char *memory = remember(id(1));
    is(row_n(1)->state, JOBQ_ROW_RUNNING);
    is_as_remembered(id(1), memory);
    ok(none_due());
}

/* Rule 5: the lease ends with the job's time at the latest. */
static void lease_ends_at_the_timeout(void)
{
    struct jobq_put p = put_of(1);
    p.timeout_ms = LEASE / 2;
    is(put(&p), JOBQ_OK);
    const struct jobq_row *r = claim_n(1);
    is(r->stop_at_ms, r->started_at_ms + LEASE / 2);
    is(r->lease_until_ms, r->stop_at_ms);
}

static int64_t fence_in(const struct jobq_token *token)
{
    uint64_t fence = 0;
    for (int i = 8; i < 16; i++)
        fence = fence << 8 | token->bytes[i];
    return (int64_t)fence;
}

/* S2, contract "Token", "Fence": both halves, one for all rows of a want, rising, below 2^53. */
static void token_and_fence(void)
{
    for (uint32_t i = 1; i <= 3; i++)
        put_ok(i);
    struct jobq_want first = due(2);
    memcpy(first.mint, "mintmint", 8);
    want(me, &first);
    is(first.row_count, 2);
    for (int i = 0; i < 2; i++) {
        ok(memcmp(first.rows[i].token.bytes, "mintmint", 8) == 0);
        ok(memcmp(&first.rows[i].token, &first.token, sizeof first.token) == 0);
        is(first.rows[i].fence, fence_in(&first.token));
    }
    struct jobq_want second = due(1);
    want(me, &second);
    ok(fence_in(&second.token) > fence_in(&first.token));
    ok(fence_in(&second.token) < INT64_C(1) << 53);
    ok(fence_in(&first.token) > 1000000); /* begins at the clock, not at 1 */
}

static void limit_is_kept(void)
{
    for (uint32_t i = 0; i < 5; i++)
        put_ok(i);
    is(want_rows(due(0)).row_count, 0);
    is(want_rows(due(3)).row_count, 3);
    struct jobq_want rest = want_rows(due(9));
    is(rest.row_count, 2);
    is(rest.more, 0);
    is(want_rows(due(9)).row_count, 0);
}

/* Contract "Bounds": stops before the row that would pass the bytes, and does not claim what it does not give. */
static void bytes_are_kept(void)
{
    struct jobq_put p[4];
    for (uint32_t i = 0; i < 4; i++) {
        p[i] = put_of(i);
        p[i].payload = text(i == 0 ? "0123456789" : "0123");
    }
    struct jobq_exchange x = { .puts = p, .put_count = 4 };
    go(me, &x);
    struct jobq_want w = due(9);
    w.bytes = 9;
    want(me, &w);
    is(w.row_count, 1); /* at least one, whatever its size */
    is(w.more, 1);
    is(row_n(1)->state, JOBQ_ROW_WAITING);
    w = due(9);
    w.bytes = 9;
    want(me, &w);
    is(w.row_count, 2);
    is(w.more, 1);
    is(row_n(3)->attempt, 0);
    claim_n(3);
}

/* A bound of bytes, and queues some of which are known and have nothing to give, as in most wants of a worker. */
static void bytes_and_queues_with_nothing(void)
{
    struct jobq_put p[3];
    static const char *const queues[] = { "held", "high", "q" };
    for (uint32_t i = 0; i < 3; i++) {
        p[i] = put_of(i);
        p[i].queue = text(queues[i]);
        p[i].payload = text("0123");
    }
    p[0].held = 1;
    struct jobq_exchange x = { .puts = p, .put_count = 3 };
    go(me, &x);
    const struct jobq_bytes named[] = { text("held"), text("high"), text("q") };
    for (int round = 0; round < 3; round++) {
        struct jobq_want w = due(9);
        w.queues = named + round % 2;
        w.queue_count = 3 - (size_t)round % 2;
        w.bytes = round ? 100 : 4;
        want(me, &w);
        is(w.row_count, round < 2);
        if (round < 2)
            ids_are(w.rows[0].id, id(1 + (uint32_t)round));
    }
}

static void only_named_kinds(void)
{
    struct jobq_put p[3];
    static const char *const kinds[] = { "a", "b", "c" };
    for (uint32_t i = 0; i < 3; i++) {
        p[i] = put_of(i);
        p[i].kind = text(kinds[i]);
    }
    struct jobq_exchange x = { .puts = p, .put_count = 3 };
    go(me, &x);
    const struct jobq_bytes wanted[] = { text("c"), text("b"), text("") };
    struct jobq_want w = due(9);
    w.kinds = wanted;
    w.kind_count = 3;
    want(me, &w);
    is(w.row_count, 2);
    ids_are(w.rows[0].id, id(1));
    ids_are(w.rows[1].id, id(2));
    is(row_n(0)->state, JOBQ_ROW_WAITING);
}

/* Queues in the order given, whatever the ranks. */
static void queues_in_order(void)
{
    struct jobq_put p[4];
    static const char *const queues[] = { "low", "high", "low", "none" };
    for (uint32_t i = 0; i < 4; i++) {
        p[i] = put_of(i);
        p[i].queue = text(queues[i]);
    }
    struct jobq_exchange x = { .puts = p, .put_count = 4 };
    go(me, &x);
    const struct jobq_bytes named[] = { text("empty"), text("high"), text("low") };
    struct jobq_want w = due(9);
    w.queues = named;
    w.queue_count = 3;
    want(me, &w);
    is(w.row_count, 3);
    ids_are(w.rows[0].id, id(1));
    ids_are(w.rows[1].id, id(0));
    ids_are(w.rows[2].id, id(2));
    is(row_n(3)->state, JOBQ_ROW_WAITING);
}

/* Rule 10: a pause holds inside the claim; it stops neither puts nor running jobs. */
static void paused_queue(void)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_PAUSED,
                               .name = text("q"), .paused = 1 };
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    is(configure(&s), JOBQ_OK);
    put_ok(2);
    ok(none_due());
    change_ok(completed(r, "r"));
    s.paused = 0;
    is(configure(&s), JOBQ_OK);
    claim_n(2);
}

/* The stored bit: a delayed row is claimed only after an exchange with a due want found its time come. */
static void due_bit_follows_time(void)
{
    struct jobq_put p[3];
    for (uint32_t i = 0; i < 3; i++) {
        p[i] = put_of(i);
        p[i].run_at = from_now((int64_t)(3 - i) * STEP);
    }
    struct jobq_exchange x = { .puts = p, .put_count = 3 };
    go(me, &x);
    is(row_n(0)->due + row_n(1)->due + row_n(2)->due, 0);
    tick(STEP);
    claim_n(2);
    ok(none_due());
    tick(2 * STEP);
    claim_n(1);
    claim_n(0);
}

/* At most 2 x limit + 64 bits in all, earliest first; what is shown does not depend on the bit. */
static void due_bits_in_portions(void)
{
    struct jobq_put p[80];
    for (uint32_t i = 0; i < 80; i++) {
        p[i] = put_of(i);
        p[i].run_at = from_now(STEP + 80 - i);
        p[i].kind = text(i < 10 ? "late" : "k");
        p[i].queue = text(i % 2 ? "q" : "r");
    }
    struct jobq_exchange x = { .puts = p, .put_count = 80 };
    go(me, &x);
    tick(STEP + 100);
    is(queue_stats("q").present[JOBQ_READY] + queue_stats("r").present[JOBQ_READY], 80);
    const struct jobq_bytes named[] = { text("q"), text("r") };
    const struct jobq_bytes kind = text("late");
    struct jobq_want w = due(1);
    w.queues = named;
    w.queue_count = 2;
    w.kinds = &kind;
    w.kind_count = 1;
    want(me, &w);
    is(w.row_count, 0); /* 66 bits were set, those of the latest ten not */
    is(w.more, 1);
    int bits = 0;
    for (uint32_t i = 0; i < 80; i++)
        bits += row_n(i)->due;
    is(bits, 66);
    is(row_n(13)->due, 0);
    is(row_n(14)->due, 1);
    w.mint[0] = 0;
    want(me, &w);
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(9));
}

/* S4: two clients never hold the same row. */
static void two_clients_share_nothing(void)
{
    for (uint32_t i = 0; i < 6; i++)
        put_ok(i);
    struct actor *you = another();
    struct jobq_want mine = due(3), yours = due(9);
    want(me, &mine);
    want(you, &yours);
    is(mine.row_count, 3);
    is(yours.row_count, 3);
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++)
            ok(memcmp(&mine.rows[i].id, &yours.rows[j].id, sizeof(struct jobq_id)) != 0);
    ok(memcmp(&mine.token, &yours.token, sizeof mine.token) != 0);
}

static int ran_alone(size_t limit, size_t others)
{
    struct jobq_want w = due(limit);
    w.others = others;
    want(me, &w);
    ok(w.row_count > 0);
    int stored = row(w.rows[0].id)->ran_alone;
    is(w.rows[0].ran_alone, stored);
    return stored;
}

/* Rule 4: the claim notes whether the row was the only one its process held. */
static void notes_company(void)
{
    for (uint32_t i = 0; i < 4; i++)
        put_ok(i);
    is(ran_alone(1, 0), 1);
    is(ran_alone(1, 3), 0);
    is(ran_alone(2, 0), 0);
}

static void mark_alone(uint32_t number)
{
    struct jobq_change c = by_operator(id(number), ANY_STATE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_ALONE;
    c.alone = 1;
    change_ok(c);
}

/* Contract "Poison among friends": ordinary wants pass a row marked alone by; a want {alone} takes exactly one. */
static void alone_rows_have_their_own_want(void)
{
    for (uint32_t i = 0; i < 4; i++)
        put_ok(i);
    mark_alone(0);
    mark_alone(2);
    struct jobq_want w = want_rows(due(9));
    is(w.row_count, 2);
    ids_are(w.rows[0].id, id(1));
    ids_are(w.rows[1].id, id(3));
    w = due(9);
    w.mode = JOBQ_WANT_ALONE;
    want(me, &w);
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(0));
    is(w.rows[0].ran_alone, 1);
    is(row_n(2)->state, JOBQ_ROW_WAITING);
    w = due(9);
    w.mode = JOBQ_WANT_ALONE;
    const struct jobq_bytes other = text("other");
    w.kinds = &other;
    w.kind_count = 1;
    want(me, &w);
    is(w.row_count, 0);
}

/* A row past expires_at is met as overdue, unclaimed, and counts against the limit. */
static void expired_row_on_the_way(void)
{
    struct jobq_put p[] = { put_of(1), put_of(2), put_of(3) };
    p[0].expires_at = from_now(STEP);
    p[1].expires_at = from_now(3 * STEP);
    struct jobq_exchange x = { .puts = p, .put_count = 3 };
    go(me, &x);
    tick(STEP);
    struct jobq_want w = want_rows(due(2));
    is(w.row_count, 2);
    const struct jobq_row *late = w.rows[0].overdue ? &w.rows[0] : &w.rows[1];
    const struct jobq_row *fine = w.rows[0].overdue ? &w.rows[1] : &w.rows[0];
    ids_are(late->id, id(1));
    is(late->overdue, JOBQ_OVERDUE_EXPIRED);
    is(late->state, JOBQ_ROW_WAITING);
    ids_are(fine->id, id(2));
    is(fine->ran_alone, 1);
    is(row_n(1)->attempt, 0);
    is(row_n(3)->state, JOBQ_ROW_WAITING);
}

/* A queue named twice counts once, also for what it gives unclaimed. */
static void queue_named_twice(void)
{
    put_ok(1);
    struct jobq_put p = put_of(2);
    p.expires_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    tick(STEP);
    const struct jobq_bytes named[] = { text("q"), text("none"), text("q") };
    struct jobq_want w = due(9);
    w.queues = named;
    w.queue_count = 3;
    want(me, &w);
    is(w.row_count, 2);
}

/* The want sees the effects of its own exchange. */
static void sees_puts_and_changes(void)
{
    put_ok(1);
    struct jobq_change release = by_token(claim_n(1), JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING);
    struct jobq_put p = put_of(2);
    struct jobq_want w = due(9);
    struct jobq_exchange x = { .changes = &release, .change_count = 1, .puts = &p, .put_count = 1, .want = &w };
    go(me, &x);
    is(w.row_count, 2);
    ids_are(w.rows[0].id, id(1));
    is(w.rows[0].attempt, 2);
    ids_are(w.rows[1].id, id(2));
}

/* Rule 7: release leaves the rank. */
static void release_keeps_the_place(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    tick(STEP);
    put_ok(2);
    change_ok(by_token(r, JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    is(row_n(1)->run_at_ms, r->run_at_ms);
    claim_n(1);
    claim_n(2);
}

/* A claim begins with a clean slate of the attempt before. */
static void clears_progress(void)
{
    put_ok(1);
    struct jobq_change c = by_token(claim_n(1), JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING);
    c.set = JOBQ_SET_PROGRESS;
    c.progress = text("half");
    change_ok(c);
    bytes_are(row_n(1)->progress, text("half"));
    const struct jobq_row *r = claim_n(1);
    bytes_are(r->progress, text(NULL));
    bytes_are(row_n(1)->progress, text(NULL));
    is(r->outcome, JOBQ_OUTCOME_NONE);
    is(r->attempt, 2);
}

static void nothing_to_take(void)
{
    struct jobq_want w = want_rows(due(5));
    is(w.row_count, 0);
    is(w.more, 0);
    const struct jobq_token none = { 0 };
    ok(memcmp(&w.token, &none, sizeof none) == 0);
    w = due(5);
    w.queue_count = 0;
    want(me, &w);
    is(w.row_count, 0);
}

/* What a claim is given to decide by travels with it. */
static void gives_what_policy_needs(void)
{
    struct jobq_put p = put_of(1);
    p.policy = text("policy");
    p.key = text("key");
    p.trace = text("trace");
    p.group = text("g");
    is(put(&p), JOBQ_OK);
    const struct jobq_row *r = claim_n(1);
    bytes_are(r->policy, text("policy"));
    bytes_are(r->key, text("key"));
    bytes_are(r->trace, text("trace"));
    bytes_are(r->group, text("g"));
    bytes_are(r->queue, text("q"));
    bytes_are(r->kind, text("k"));
}

static const struct test tests[] = {
    { .name = "same rank: order of arrival, not of ids", .run = order_of_arrival },
    { .name = "smallest rank first (L4)", .run = order_of_rank },
    { .name = "rank saturates", .run = rank_saturates },
    { .name = "stamps attempt, lease, worker, start (S5)", .run = stamps },
    { .name = "the lease ends at stop_at (rule 5)", .run = lease_ends_at_the_timeout },
    { .name = "token is mint and fence, one per want, rising (S2)", .run = token_and_fence },
    { .name = "limit", .run = limit_is_kept },
    { .name = "bytes: stops before, gives one, claims no more than it gives", .run = bytes_are_kept },
    { .name = "bytes: a queue that has nothing to give is passed by", .run = bytes_and_queues_with_nothing },
    { .name = "only named kinds", .run = only_named_kinds },
    { .name = "queues in the order given", .run = queues_in_order },
    { .name = "a paused queue gives nothing (rule 10)", .run = paused_queue },
    { .name = "delayed jobs become due by time", .run = due_bit_follows_time },
    { .name = "at most 2 x limit + 64 due bits, earliest first", .run = due_bits_in_portions },
    { .name = "two clients never hold the same row (S4)", .run = two_clients_share_nothing },
    { .name = "ran_alone: one row and no others (rule 4)", .run = notes_company },
    { .name = "rows marked alone (rule 4)", .run = alone_rows_have_their_own_want },
    { .name = "an expired row is given as overdue, unclaimed", .run = expired_row_on_the_way },
    { .name = "a queue named twice counts once", .run = queue_named_twice },
    { .name = "the want sees the unit's effects", .run = sees_puts_and_changes },
    { .name = "release keeps the place (rule 7)", .run = release_keeps_the_place },
    { .name = "a claim clears progress and outcome", .run = clears_progress },
    { .name = "nothing due: no rows, no token", .run = nothing_to_take },
    { .name = "rows carry what policy needs", .run = gives_what_policy_needs },
};
const struct topic topic_claim = TOPIC("claim", tests);
