/* SPDX-License-Identifier: MIT */
/* Retention: lifecycle rule 14; contract "trim". */
#include "suite.h"

static struct jobq_trim keep(int64_t count, int64_t ms, size_t limit)
{
    struct jobq_trim t = { .limit = limit };
    for (int i = 0; i < 8; i++) {
        t.keep_count[i] = count;
        t.keep_ms[i] = ms;
    }
    return t;
}

static void end_with(struct jobq_change c, struct jobq_trim t)
{
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .trim = t };
    go(me, &x);
    is(c.verdict, JOBQ_OK);
}

static void ended(uint32_t number, int state)
{
    put_ok(number);
    finish(number, state);
    tick(1000); /* so that each ends at a time of its own */
}

static size_t present(int shown)
{
    return queue_stats("q").present[shown];
}

static void over_the_count(void)
{
    for (uint32_t i = 1; i <= 4; i++)
        ended(i, JOBQ_ROW_COMPLETED);
    put_ok(5);
    end_with(completed(claim_n(5), "r"), keep(2, 0, 9));
    ok(!exists(1) && !exists(2) && !exists(3) && exists(4) && exists(5));
    is(present(JOBQ_COMPLETED), 2);
    is(queue_stats("q").completed_total, 5);
}

static void over_the_age(void)
{
    ended(1, JOBQ_ROW_COMPLETED);
    tick(STEP);
    ended(2, JOBQ_ROW_COMPLETED);
    put_ok(3);
    end_with(completed(claim_n(3), "r"), keep(-1, STEP / 2, 9));
    ok(!exists(1) && exists(2) && exists(3));
}

static void oldest_first_up_to_the_limit(void)
{
    for (uint32_t i = 1; i <= 5; i++)
        ended(i, JOBQ_ROW_DEAD);
    put_ok(6);
    end_with(by_operator(id(6), LIVE, JOBQ_ROW_DEAD), keep(0, 0, 2));
    ok(!exists(1) && !exists(2) && exists(3));
    is(present(JOBQ_DEAD), 4);
}

/* A limit of zero is no trim; so is a unit that ended nothing. */
static void only_when_asked(void)
{
    ended(1, JOBQ_ROW_COMPLETED);
    put_ok(2);
    end_with(completed(claim_n(2), "r"), keep(0, 0, 0));
    ok(exists(1) && exists(2));
    put_ok(3);
    struct jobq_change c = by_token(claim_n(3), JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING);
    end_with(c, keep(0, 0, 9));
    ok(exists(1) && exists(2) && exists(3));
}

/* Only the (queue, state) pairs that this unit ended rows in. */
static void only_what_was_ended(void)
{
    ended(1, JOBQ_ROW_COMPLETED);
    ended(2, JOBQ_ROW_CANCELLED);
    struct jobq_put p = put_of(3);
    p.queue = text("other");
    is(put(&p), JOBQ_OK);
    change_ok(by_operator(id(3), LIVE, JOBQ_ROW_DEAD));
    put_ok(4);
    end_with(by_operator(id(4), LIVE, JOBQ_ROW_DEAD), keep(0, 0, 9));
    ok(exists(1) && exists(2) && exists(3) && !exists(4));
}

/* Live jobs are never pruned. */
static void never_what_lives(void)
{
    make(1, JOBQ_ROW_BLOCKED);
    make(2, JOBQ_ROW_RUNNING);
    put_ok(3);
    put_ok(4);
    tick(100 * STEP);
    end_with(by_operator(id(4), LIVE, JOBQ_ROW_CANCELLED), keep(0, 1, 9));
    ok(exists(1) && exists(2) && exists(3) && !exists(4));
}

/* The queue's own settings go before what the exchange says. */
static void own_settings(void)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_KEEP,
                               .name = text("q") };
    for (int i = 0; i < 8; i++) {
        s.keep_count[i] = i == JOBQ_ROW_COMPLETED ? 3 : -1;
        s.keep_ms[i] = -1;
    }
    is(configure(&s), JOBQ_OK);
    for (uint32_t i = 1; i <= 3; i++)
        ended(i, JOBQ_ROW_COMPLETED);
    ended(4, JOBQ_ROW_DEAD);
    put_ok(5);
    end_with(completed(claim_n(5), "r"), keep(0, 1, 9));
    ok(!exists(1) && exists(2) && exists(3) && exists(5));
    put_ok(6);
    end_with(by_operator(id(6), LIVE, JOBQ_ROW_DEAD), keep(0, 1, 9));
    ok(exists(4) && exists(6));
}

/* Rows with open edges keep their place in the count. */
static void open_edges(void)
{
    ended(1, JOBQ_ROW_COMPLETED);
    put_ok(2);
    const struct jobq_parent p = { .id = id(2), .rule = JOBQ_PARENT_FAIL };
    put_child(3, &p, 1);
    finish(2, JOBQ_ROW_CANCELLED);
    tick(1000);
    ended(4, JOBQ_ROW_CANCELLED);
    put_ok(5);
    end_with(by_operator(id(5), LIVE, JOBQ_ROW_CANCELLED), keep(2, 0, 9));
    ok(exists(2) && exists(4) && exists(5));
    put_ok(6);
    end_with(by_operator(id(6), LIVE, JOBQ_ROW_CANCELLED), keep(1, 0, 9));
    ok(exists(2) && !exists(4) && !exists(5) && exists(6));
}

/* S1, S11: what was pruned is forgotten with its history, and its key follows its own rule. */
static void pruned_is_gone(void)
{
    put_ok(1);
    struct jobq_change c = completed(claim_n(1), "r"), again = c;
    end_with(c, keep(0, 0, 9));
    ok(!exists(1));
    is(change(&again), JOBQ_STALE);
    is(again.stale, JOBQ_STALE_GONE);
    ok(again.row == NULL);
}

static const struct test tests[] = {
    { .name = "over the count (rule 14)", .run = over_the_count },
    { .name = "over the age (rule 14)", .run = over_the_age },
    { .name = "oldest first, up to the limit", .run = oldest_first_up_to_the_limit },
    { .name = "only when asked, and when something ended", .run = only_when_asked },
    { .name = "only the queue and state that rows ended in", .run = only_what_was_ended },
    { .name = "live jobs are never pruned (rule 14)", .run = never_what_lives },
    { .name = "the queue's own settings go first", .run = own_settings },
    { .name = "none with open edges", .run = open_edges, .needs = JOBQ_CAP_EDGES },
    { .name = "a pruned row is gone", .run = pruned_is_gone },
};
const struct topic topic_trim = TOPIC("trim", tests);
