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
    is(queue_stats("q").completed_trimmed, 3);
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

/* Nothing leaves silently: by the state that it had; what somebody drops is another thing. */
static void what_is_removed_is_counted(void)
{
    for (uint32_t i = 1; i <= 3; i++)
        ended(i, JOBQ_ROW_DEAD);
    ended(4, JOBQ_ROW_CANCELLED);
    ended(5, JOBQ_ROW_CANCELLED);
    put_ok(6);
    end_with(by_operator(id(6), LIVE, JOBQ_ROW_DEAD), keep(2, 0, 9));
    put_ok(7);
    end_with(by_operator(id(7), LIVE, JOBQ_ROW_CANCELLED), keep(-1, 1, 9));
    change_ok(by_operator(id(3), ANY_STATE, JOBQ_ROW_GONE));
    struct jobq_queue_stats q = queue_stats("q");
    is(q.dead_trimmed, 2);
    is(q.cancelled_trimmed, 2);
    is(q.completed_trimmed, 0);
    is(q.dead_total - q.dead_trimmed - q.present[JOBQ_DEAD], 1); /* the one that was dropped */
    is(q.cancelled_total - q.cancelled_trimmed - q.present[JOBQ_CANCELLED], 0);
}

/* A row with errors, a result, a key and a dependency behind it leaves by the same door. */
static void removed_with_all_it_had_is_counted_too(void)
{
    const struct jobq_put_key key = { .scope = { 1 }, .payload_digest = { 2 }, .hold = JOBQ_HOLD_LIVE };
    struct jobq_put p = put_of(1);
    p.unique = &key;
    is(put(&p), JOBQ_OK);
    change_ok(failed(claim_n(1), JOBQ_ROW_WAITING, 0, "e"));
    change_ok(completed(claim_n(1), "result"));
    tick(1000);
    put_ok(2);
    end_with(completed(claim_n(2), "r"), keep(1, 0, 9));
    ok(!exists(1) && exists(2));
    is(queue_stats("q").completed_trimmed, 1);
    is(queue_stats("q").present[JOBQ_COMPLETED], 1);
}

static void what_is_removed_is_told(void)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_EVENTS, .events = 100 };
    struct jobq_event_query query;
    int status;

    ended(1, JOBQ_ROW_DEAD);
    ended(2, JOBQ_ROW_DEAD);
    is(configure(&s), JOBQ_OK);
    put_ok(3);
    end_with(failed(claim_n(3), JOBQ_ROW_DEAD, JOBQ_REASON_ATTEMPTS, "e"), keep(1, 0, 9));
    do {
        query = (struct jobq_event_query){ .size = sizeof query, .limit = 100 };
        status = store_table()->events(me->store, &query, me->arena, &me->err);
    } while (status == JOBQ_FAILED && strcmp(me->err.text, "injected") == 0);
    is(status, JOBQ_OK);
    static const struct { uint32_t number; int state, reason; } wanted[] = {
        { 3, JOBQ_ROW_WAITING, 0 }, { 3, JOBQ_ROW_RUNNING, 0 }, { 3, JOBQ_ROW_DEAD, JOBQ_REASON_ATTEMPTS },
        { 1, JOBQ_ROW_GONE, JOBQ_REASON_RETENTION }, { 2, JOBQ_ROW_GONE, JOBQ_REASON_RETENTION },
    };
    is(query.row_count, 5);
    for (size_t i = 0; i < 5; i++) {
        ids_are(query.rows[i].id, id(wanted[i].number));
        is(query.rows[i].state, wanted[i].state);
        is(query.rows[i].reason, wanted[i].reason);
        bytes_are(query.rows[i].queue, text("q"));
        bytes_are(query.rows[i].kind, text("k"));
        is(query.rows[i].cursor, (int64_t)i + 1);
    }
    is(queue_stats("q").dead_trimmed, 2);
    is(queue_stats("q").present[JOBQ_DEAD], 1);
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
    { .name = "what is removed is counted (rule 8)", .run = what_is_removed_is_counted },
    { .name = "removed with all that it had, it is counted too", .run = removed_with_all_it_had_is_counted_too },
    { .name = "what is removed is told (rule 8)", .run = what_is_removed_is_told, .needs = JOBQ_CAP_EVENTS },
};
const struct topic topic_trim = TOPIC("trim", tests);
