/* SPDX-License-Identifier: MIT */
/* n per period, of starts and of puts: lifecycle rule 10; backend.h "Limits and turns", struct jobq_gauge. */
#include "suite.h"

#define RATE JOBQ_SETTING_RATE
#define QUOTA JOBQ_SETTING_QUOTA
#define PERIOD (10 * STEP) /* so that a tenth is a STEP */

static uint32_t next_number;

/* To the middle of a tenth: what a test does at once, it does in one tenth. */
static void align(void)
{
    next_number = 0;
    tick(STEP - now_of_store() % STEP + STEP / 2);
}

static void put_more(uint32_t count, const char *group)
{
    for (uint32_t i = 0; i < count; i++)
        is(put_in(next_number++, "q", group), JOBQ_OK);
}

/* ---- starts ---------------------------------------------------------------------------------------------------- */

static void of_a_queue(void)
{
    align();
    limit_queue("q", RATE, 3, PERIOD);
    put_more(20, NULL);
    is(starts(2), 2);
    is(starts(9), 1);
    is(starts(9), 0);
    for (int i = 0; i < 10; i++) {
        tick(STEP);
        is(starts(9), 0);
    }
    tick(STEP); /* the eleventh tenth after */
    is(starts(9), 3);
}

/* Numbers of its tenths are beyond 32 bits. A store's clock does not stand still meanwhile, so what is asserted of a moment
 * holds however slow the machine is. */
static void of_a_second(void)
{
    enum { N = 100, SECOND = 1000 };
    align();
    limit_queue("q", RATE, N, SECOND);
    put_more(3 * N, NULL);
    for (int round = 0; round < 3; round++) {
        int64_t before = now_of_store();
        is(starts(3 * N), N);
        size_t more = starts(3 * N);
        ok(more == 0 || now_of_store() - before >= SECOND);
        const struct jobq_limit *l = limits_of(JOBQ_LIMIT_QUEUE, "q", NULL);
        ok(l->rate_wait_ms >= 0 && l->rate_wait_ms <= SECOND + SECOND / 10);
        if (more)
            return; /* so slow that the rest is not what it counts on */
        tick(SECOND + SECOND / 10);
    }
    ok(none_due());
}

static void quota_of_a_tenth_of_a_second(void)
{
    enum { PERIOD_MS = 100 };
    align();
    limit_group("g", QUOTA, 2, PERIOD_MS);
    for (int round = 0; round < 3; round++) {
        put_more(2, "g");
        int64_t before = now_of_store();
        struct jobq_put p = put_of(100 + (uint32_t)round);
        p.group = text("g");
        int verdict = put(&p);
        ok(verdict == JOBQ_LIMITED ? p.retry_ms > 0 && p.retry_ms <= PERIOD_MS + PERIOD_MS / 10
                                   : verdict == JOBQ_OK && now_of_store() - before >= 0);
        tick(2 * PERIOD_MS);
    }
}

/* In no interval of a period are there more than n; a start may come up to a tenth later. */
static void no_interval_has_more(void)
{
    enum { TENTHS = 60, N = 4 };
    size_t started[TENTHS];
    align();
    limit_queue("q", RATE, N, PERIOD);
    put_more(40, NULL);
    for (int t = 0; t < TENTHS; t++) {
        started[t] = starts(t % 3 == 0 ? 2 : 1 + (size_t)t % 2);
        tick(STEP);
    }
    size_t all = 0;
    for (int t = 0; t < TENTHS; t++) {
        size_t sum = 0;
        for (int k = t < 10 ? 0 : t - 10; k <= t; k++)
            sum += started[k];
        ok(sum <= N);
        all += started[t];
    }
    is(all, TENTHS / 11 * N + N); /* and it is used: 4 at the beginning of each 11 tenths */
}

static void of_a_group_in_all_queues(void)
{
    const struct jobq_bytes both[] = { text("q"), text("q2") };
    align();
    limit_group("g", RATE, 4, PERIOD);
    put_more(3, "g");
    for (uint32_t i = 100; i < 110; i++)
        is(put_in(i, "q2", "g"), JOBQ_OK);
    is(put_in(200, "q2", "h"), JOBQ_OK);
    is(put_in(201, "q2", NULL), JOBQ_OK);
    struct jobq_want w = due(30);
    w.queues = both;
    w.queue_count = 2;
    want(me, &w);
    is(w.row_count, 4 + 2);
    const struct jobq_limit *l = limits_of(JOBQ_LIMIT_GROUP, "g", NULL);
    is(l->running, 4);
    is(l->rate_used, 4);
    is((now_of_store() + l->rate_wait_ms) / STEP, now_of_store() / STEP + 11);
    is(limits_of(JOBQ_LIMIT_GROUP, "h", NULL)->rate_wait_ms, 0);
}

/* A start is used when the row is claimed: a release does not give it back, the next claim is another one. */
static void a_release_has_used_its_start(void)
{
    align();
    limit_queue("q", RATE, 2, PERIOD);
    put_more(1, NULL);
    for (int i = 0; i < 2; i++)
        change_ok(by_token(claim(), JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    ok(none_due());
    is(limits_of(JOBQ_LIMIT_QUEUE, "q", NULL)->rate_used, 2);
}

/* Starts count when their rows are long gone; a sweep and a row too late are no starts. */
static void rows_gone_still_count(void)
{
    align();
    limit_queue("q", RATE, 3, PERIOD);
    put_more(2, NULL);
    struct jobq_put late = put_of(50);
    late.expires_at = from_now(1);
    is(put(&late), JOBQ_OK);
    tick(1);
    struct jobq_want w = due(9);
    want(me, &w);
    is(w.row_count, 3);
    for (uint32_t i = 0; i < 2; i++) {
        struct jobq_change c = completed(row_n(i), "r");
        change_ok(c);
        change_ok(by_operator(id(i), ANY_STATE, JOBQ_ROW_GONE));
    }
    change_ok(by_operator(id(50), ANY_STATE, JOBQ_ROW_GONE));
    put_more(3, NULL);
    is(starts(9), 1);
    tick(LEASE);
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 1);
    is(limits_of(JOBQ_LIMIT_QUEUE, "q", NULL)->rate_used, 3);
}

/* Queue and group together, and the rest of a want that meets them. */
static void both_hold(void)
{
    align();
    limit_queue("q", RATE, 5, PERIOD);
    limit_group("", RATE, 2, PERIOD);
    put_more(4, "a");
    put_more(4, "b");
    put_more(4, "c");
    is(starts(30), 5);
    is(limits_of(JOBQ_LIMIT_GROUP, "a", NULL)->rate_used, 2);
    is(limits_of(JOBQ_LIMIT_GROUP, "b", NULL)->rate_used, 2);
    is(limits_of(JOBQ_LIMIT_GROUP, "c", NULL)->rate_used, 1);
    limit_queue("q", RATE, 50, PERIOD);
    is(starts(30), 1);
}

static void changed_while_it_counts(void)
{
    align();
    limit_queue("q", RATE, 3, PERIOD);
    put_more(30, NULL);
    is(starts(9), 3);
    limit_queue("q", RATE, 5, PERIOD);
    is(starts(9), 2);
    limit_queue("q", RATE, 1, PERIOD);
    is(starts(9), 0);
    limit_queue("q", RATE, 6, 10 * PERIOD); /* what was counted counts as of now */
    is(starts(9), 1);
    tick(9 * PERIOD);
    is(starts(9), 0);
    tick(3 * PERIOD);
    is(starts(9), 6);
    limit_queue("q", RATE, JOBQ_LIMIT_NONE, 0);
    is(starts(9), 9);
}

/* A plan's rate is counted for each group by itself. */
static void of_a_plan(void)
{
    align();
    limit_plan("p", RATE, 2, PERIOD);
    limit_group("", RATE, 1, PERIOD);
    give_plan("a", "p");
    give_plan("b", "p");
    put_more(4, "a");
    put_more(4, "b");
    put_more(4, "c");
    put_more(4, NULL);
    is(starts(30), 2 + 2 + 1 + 4);
}

/* Who was held back by a rate is told when to come again. */
static void tells_when_to_come(void)
{
    align();
    limit_queue("q", RATE, 1, PERIOD);
    put_more(2, NULL);
    change_ok(completed(claim(), "r"));
    struct jobq_want w = due(9);
    struct jobq_exchange x = { .want = &w };
    go(me, &x);
    is(w.row_count, 0);
    is(w.more, 0);
    is(x.next_due_ms, (x.now_ms / STEP + 11) * STEP);
    tick(x.next_due_ms - x.now_ms);
    is(starts(9), 1);
}

static void tells_when_to_come_of_a_group(void)
{
    align();
    limit_group("g", RATE, 1, PERIOD);
    put_more(2, "g");
    change_ok(completed(claim(), "r"));
    struct jobq_want w = due(9);
    struct jobq_exchange x = { .want = &w };
    go(me, &x);
    is(w.row_count, 0);
    is(x.next_due_ms, (x.now_ms / STEP + 11) * STEP);
}

static void a_rate_of_none(void)
{
    align();
    limit_queue("q", RATE, 0, PERIOD);
    put_more(2, NULL);
    is(starts(9), 0);
    is(limits_of(JOBQ_LIMIT_QUEUE, "q", NULL)->rate_wait_ms, PERIOD);
}

/* ---- puts --------------------------------------------------------------------------------------------------------- */

static void quota_of_a_group(void)
{
    align();
    limit_group("g", QUOTA, 2, PERIOD);
    put_more(2, "g");
    struct jobq_put p = put_of(50);
    p.group = text("g");
    is(put(&p), JOBQ_LIMITED);
    is((me->now + p.retry_ms) / STEP, me->now / STEP + 11);
    ok(p.retry_ms > 10 * STEP && p.retry_ms <= 11 * STEP);
    ok(!exists(50));
    put_more(3, "h");
    put_more(3, NULL);
    tick(p.retry_ms - STEP / 4); /* not yet */
    is(put(&p), JOBQ_LIMITED);
    tick(STEP / 4);
    is(put(&p), JOBQ_OK);
    is(p.retry_ms, 0);
}

/* Not later than need be: the wait is for the oldest that must fall out. */
static void quota_says_when(void)
{
    align();
    limit_group("g", QUOTA, 3, PERIOD);
    put_more(1, "g");
    tick(4 * STEP);
    put_more(2, "g");
    struct jobq_put p = put_of(50);
    p.group = text("g");
    is(put(&p), JOBQ_LIMITED);
    is((me->now + p.retry_ms) / STEP, me->now / STEP + 7);
    limit_group("g", QUOTA, 2, PERIOD); /* two must go */
    is(put(&p), JOBQ_LIMITED);
    is((me->now + p.retry_ms) / STEP, me->now / STEP + 11);
    const struct jobq_limit *l = limits_of(JOBQ_LIMIT_GROUP, "g", NULL);
    is(l->quota_used, 3);
    is((now_of_store() + l->quota_wait_ms) / STEP, now_of_store() / STEP + 11);
}

/* Only a put that is OK uses it. */
static void only_what_is_accepted(void)
{
    struct jobq_put_key key = { .scope = { 1 } };
    align();
    limit_group("g", QUOTA, 2, PERIOD);
    struct jobq_put p = put_of(1);
    p.group = text("g");
    p.unique = &key;
    is(put(&p), JOBQ_OK);
    is(put(&p), JOBQ_ALREADY);
    p.id = id(2);
    is(put(&p), JOBQ_DUPLICATE);
    limit_queue("q", JOBQ_SETTING_DEPTH, 1, 0);
    p.unique = NULL;
    is(put(&p), JOBQ_FULL);
    limit_queue("q", JOBQ_SETTING_DEPTH, JOBQ_LIMIT_NONE, 0);
    is(put(&p), JOBQ_OK);
    p.id = id(3);
    is(put(&p), JOBQ_LIMITED);
}

/* Verdicts: DUPLICATE, FULL, LIMITED. */
static void order_of_verdicts(void)
{
    struct jobq_put_key key = { .scope = { 1 } };
    struct jobq_put p = put_of(1);
    align();
    p.unique = &key;
    is(put(&p), JOBQ_OK);
    limit_group("g", QUOTA, 0, PERIOD);
    limit_queue("q", JOBQ_SETTING_DEPTH, 1, 0);
    p = put_of(2);
    p.group = text("g");
    p.unique = &key;
    is(put(&p), JOBQ_DUPLICATE);
    p.unique = NULL;
    is(put(&p), JOBQ_FULL);
    is(p.retry_ms, 0);
    limit_queue("q", JOBQ_SETTING_DEPTH, 9, 0);
    is(put(&p), JOBQ_LIMITED);
    is(p.retry_ms, PERIOD);
}

/* In one unit, item by item; what is refused undoes nothing. */
static void many_in_one_unit(void)
{
    struct jobq_put puts[6];
    align();
    limit_plan("free", QUOTA, 3, PERIOD);
    give_plan("g", "free");
    for (uint32_t i = 0; i < 6; i++) {
        puts[i] = put_of(i);
        puts[i].group = text(i == 1 ? "h" : "g");
    }
    struct jobq_exchange x = { .puts = puts, .put_count = 6 };
    go(me, &x);
    for (uint32_t i = 0; i < 6; i++)
        is(puts[i].verdict, i < 4 ? JOBQ_OK : JOBQ_LIMITED);
    is(queue_stats("q").enqueued_total, 4);
}

#define GROUPS JOBQ_CAP_GROUPS
static const struct test tests[] = {
    { .name = "of a queue (rule 10)", .run = of_a_queue, .needs = GROUPS },
    { .name = "no interval of a period has more (rule 10)", .run = no_interval_has_more, .needs = GROUPS },
    { .name = "of a hundred in a second", .run = of_a_second, .needs = GROUPS },
    { .name = "quota of a tenth of a second", .run = quota_of_a_tenth_of_a_second, .needs = GROUPS },
    { .name = "of a group, in all queues (rule 10)", .run = of_a_group_in_all_queues, .needs = GROUPS },
    { .name = "a released job has used its start", .run = a_release_has_used_its_start, .needs = GROUPS },
    { .name = "rows gone count, sweeps do not", .run = rows_gone_still_count, .needs = GROUPS },
    { .name = "of queue and group together", .run = both_hold, .needs = GROUPS },
    { .name = "changed while it counts", .run = changed_while_it_counts, .needs = GROUPS },
    { .name = "of a plan: each group by itself", .run = of_a_plan, .needs = GROUPS },
    { .name = "tells when to come", .run = tells_when_to_come, .needs = GROUPS, .flags = PLAIN_ONLY },
    { .name = "tells when to come, of a group", .run = tells_when_to_come_of_a_group, .needs = GROUPS,
      .flags = PLAIN_ONLY },
    { .name = "a rate of none", .run = a_rate_of_none, .needs = GROUPS },
    { .name = "quota of a group: LIMITED and when to come (rule 10)", .run = quota_of_a_group, .needs = GROUPS },
    { .name = "quota: for the oldest that must fall out", .run = quota_says_when, .needs = GROUPS },
    { .name = "quota: only what is accepted uses it", .run = only_what_is_accepted, .needs = GROUPS },
    { .name = "quota: order of verdicts", .run = order_of_verdicts, .needs = GROUPS },
    { .name = "quota: many in one unit", .run = many_in_one_unit, .needs = GROUPS },
};
const struct topic topic_rates = TOPIC("rates", tests);
