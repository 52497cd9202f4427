/* SPDX-License-Identifier: MIT */
/* Events: every change of state, once, in order, with a cursor that has no gap. */
#include "suite.h"

static void keep(int64_t count)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_EVENTS, .events = count };
    is(configure(&s), JOBQ_OK);
}

static struct jobq_event_query events_after(int64_t after, size_t limit)
{
    struct jobq_event_query query;
    int status;
    do {
        query = (struct jobq_event_query){ .size = sizeof query, .after = after, .limit = limit };
        status = store_table()->events(me->store, &query, me->arena, &me->err);
    } while (status == JOBQ_FAILED && strcmp(me->err.text, "injected") == 0);
    is(status, JOBQ_OK);
    return query;
}

/* The i-th event is of job `number` coming to `state`, and has cursor i + 1. */
static void event_is(const struct jobq_event_query *query, size_t i, uint32_t number, int state)
{
    ok(i < query->row_count);
    const struct jobq_event_row *e = &query->rows[i];
    is(e->cursor, (int64_t)i + 1);
    ids_are(e->id, id(number));
    is(e->state, state);
}

static void none_unless_kept(void)
{
    put_ok(1);
    struct jobq_event_query q = events_after(0, 100);
    is(q.row_count, 0);
    is(q.newest, 0);
    is(q.oldest, 1);
}

static void a_life(void)
{
    keep(100);
    put_ok(1);
    const struct jobq_row *held = claim_n(1);
    change_ok(failed(held, JOBQ_ROW_WAITING, 0, "e"));
    change_ok(completed(claim_n(1), "r"));
    change_ok(by_operator(id(1), JOBQ_ROW_ENDED, JOBQ_ROW_GONE));
    struct jobq_event_query q = events_after(0, 100);
    static const int states[] = { JOBQ_ROW_WAITING, JOBQ_ROW_RUNNING, JOBQ_ROW_WAITING,
                                  JOBQ_ROW_RUNNING, JOBQ_ROW_COMPLETED, JOBQ_ROW_GONE };
    is(q.row_count, 6);
    for (size_t i = 0; i < 6; i++) {
        event_is(&q, i, 1, states[i]);
        bytes_are(q.rows[i].queue, text("q"));
        bytes_are(q.rows[i].kind, text("k"));
        is(q.rows[i].worker.data != NULL, states[i] == JOBQ_ROW_RUNNING);
        ok(i == 0 || q.rows[i].at_ms >= q.rows[i - 1].at_ms);
    }
    is(q.rows[1].attempt, 1);
    is(q.rows[3].attempt, 2);
    is(q.newest, 6);
    is(q.oldest, 1);
}

static void every_state_and_reason(void)
{
    keep(100);
    struct jobq_put p = put_of(1);
    p.held = 1;
    is(put(&p), JOBQ_OK);
    struct jobq_change lift = by_operator(id(1), LIVE, JOBQ_ROW_KEEP);
    lift.set = JOBQ_LIFT_HOLD;
    change_ok(lift);
    change_ok(failed(claim_n(1), JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e"));
    put_ok(2);
    change_ok(by_operator(id(2), LIVE, JOBQ_ROW_CANCELLED));
    struct jobq_event_query q = events_after(0, 100);
    is(q.row_count, 6);
    event_is(&q, 0, 1, JOBQ_ROW_BLOCKED);
    is(q.rows[0].reason, JOBQ_REASON_HOLD);
    event_is(&q, 1, 1, JOBQ_ROW_WAITING);
    event_is(&q, 2, 1, JOBQ_ROW_RUNNING);
    event_is(&q, 3, 1, JOBQ_ROW_DEAD);
    is(q.rows[3].reason, JOBQ_REASON_PERMANENT);
    event_is(&q, 4, 2, JOBQ_ROW_WAITING);
    event_is(&q, 5, 2, JOBQ_ROW_CANCELLED);
}

/* A row before those that it lets go. */
static void children_after_their_parent(void)
{
    keep(100);
    put_ok(1);
    struct jobq_parent edge = { id(1), JOBQ_PARENT_FAIL };
    put_child(2, &edge, 1);
    change_ok(completed(claim_n(1), "r"));
    struct jobq_event_query q = events_after(0, 100);
    is(q.row_count, 5);
    event_is(&q, 1, 2, JOBQ_ROW_BLOCKED);
    event_is(&q, 3, 1, JOBQ_ROW_COMPLETED);
    event_is(&q, 4, 2, JOBQ_ROW_WAITING);
}

static void given_back_by_a_beat(void)
{
    keep(100);
    put_ok(1);
    struct jobq_beat beat = { .token = claim_n(1)->token, .flags = JOBQ_BEAT_RELEASE };
    struct jobq_exchange x = { .beats = &beat, .beat_count = 1 };
    go(me, &x);
    struct jobq_event_query q = events_after(0, 100);
    is(q.row_count, 3);
    event_is(&q, 2, 1, JOBQ_ROW_WAITING);
}

/* In order of arrival, whatever order they were claimed in. */
static void given_back_together(void)
{
    keep(100);
    put_ok(1);
    struct jobq_put first = put_of(2);
    first.rank_add_ms = -STEP;
    is(put(&first), JOBQ_OK);
    struct jobq_want w = due(2);
    want(me, &w);
    is(w.row_count, 2);
    ids_are(w.rows[0].id, id(2));
    struct jobq_beat beat = { .token = w.token, .flags = JOBQ_BEAT_RELEASE };
    struct jobq_exchange x = { .beats = &beat, .beat_count = 1 };
    go(me, &x);
    struct jobq_event_query q = events_after(0, 100);
    is(q.row_count, 6);
    event_is(&q, 4, 1, JOBQ_ROW_WAITING);
    event_is(&q, 5, 2, JOBQ_ROW_WAITING);
}

/* What is refused, repeated or alters no state is no event. */
static void nothing_happened(void)
{
    keep(100);
    put_ok(1);
    struct jobq_put again = put_of(1);
    is(put(&again), JOBQ_ALREADY);
    const struct jobq_row *held = claim_n(1);
    struct jobq_change c = completed(held, "r"), twice = c;
    struct jobq_change p = by_token(held, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    p.set = JOBQ_SET_PROGRESS;
    p.progress = text("half");
    change_ok(p);
    change_ok(c);
    is(change(&twice), JOBQ_ALREADY);
    struct jobq_change late = by_operator(id(1), LIVE, JOBQ_ROW_CANCELLED);
    is(change(&late), JOBQ_STALE);
    is(events_after(0, 100).row_count, 3);
}

static void pages(void)
{
    keep(100);
    for (uint32_t i = 1; i <= 5; i++)
        put_ok(i);
    struct jobq_event_query q = events_after(0, 2);
    is(q.row_count, 2);
    is(q.rows[1].cursor, 2);
    q = events_after(2, 2);
    is(q.row_count, 2);
    is(q.rows[0].cursor, 3);
    q = events_after(4, 2);
    is(q.row_count, 1);
    q = events_after(5, 2);
    is(q.row_count, 0);
    is(q.newest, 5);
}

static void oldest_go_first(void)
{
    keep(3);
    for (uint32_t i = 1; i <= 500; i++)
        put_ok(i);
    struct jobq_event_query q = events_after(0, 1000);
    ok(q.row_count >= 3 && q.row_count < 300); /* "or soon after" */
    is(q.newest, 500);
    is(q.rows[q.row_count - 1].cursor, 500);
    is(q.oldest, q.rows[0].cursor);
    is(q.oldest, 500 - (int64_t)q.row_count + 1);
}

/* Switched off nothing is written; on again the cursor goes on. */
static void off_and_on(void)
{
    keep(10);
    put_ok(1);
    keep(0);
    put_ok(2);
    is(events_after(0, 10).row_count, 0);
    keep(10);
    put_ok(3);
    struct jobq_event_query q = events_after(0, 10);
    is(q.row_count, 1);
    is(q.rows[0].cursor, 2);
    ids_are(q.rows[0].id, id(3));
    is(q.oldest, 2);
}

#define EVENTS JOBQ_CAP_EVENTS
static const struct test tests[] = {
    { .name = "none unless they are kept", .run = none_unless_kept, .needs = EVENTS },
    { .name = "a life in order", .run = a_life, .needs = EVENTS },
    { .name = "every state, with its reason", .run = every_state_and_reason, .needs = EVENTS },
    { .name = "children after their parent", .run = children_after_their_parent, .needs = EVENTS | JOBQ_CAP_EDGES },
    { .name = "given back by a beat", .run = given_back_by_a_beat, .needs = EVENTS },
    { .name = "given back by one beat: in order of arrival", .run = given_back_together, .needs = EVENTS },
    { .name = "nothing happened, nothing is told", .run = nothing_happened, .needs = EVENTS },
    { .name = "pages by cursor", .run = pages, .needs = EVENTS },
    { .name = "bounded: the oldest go first", .run = oldest_go_first, .needs = EVENTS, .flags = PLAIN_ONLY },
    { .name = "off and on again: the cursor goes on", .run = off_and_on, .needs = EVENTS },
};
const struct topic topic_events = TOPIC("events", tests);
