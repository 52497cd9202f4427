/* SPDX-License-Identifier: MIT */
/* Many plain jobs at a time, as others see them: lists, statistics, events, copies, limits; see batch_kit.h. */
#include "batch_kit.h"

#include <stdlib.h>

/* ---- reading ------------------------------------------------------------------------------------------------- */

static struct jobq_row as_it_is(const struct batch *b, uint32_t number)
{
    if (number >= MANY)
        return as_put(number);
    return b->ended ? as_ended(number, b) : as_claimed(number, &b->w);
}

/* The page has these, in this order, and each is whole. */
static void page_is(const struct batch *b, struct jobq_query query, uint32_t first, uint32_t count)
{
    query.flags = JOBQ_READ_PAYLOAD | JOBQ_READ_RESULT | JOBQ_READ_ERRORS | JOBQ_READ_PARENTS | JOBQ_READ_LOG;
    query = found_by(query);
    is(query.row_count, count);
    for (uint32_t i = 0; i < count; i++) {
        struct jobq_row expected = as_it_is(b, first + i);
        row_is(&query.rows[i], &expected);
    }
}

static void by_ids(struct batch *b)
{
    const struct jobq_id ids[] = { id(20), id(NUMBERS), id(3), id(100), id(20) };
    put_many(100, 1);
    struct jobq_query query = found_by((struct jobq_query){ .ids = ids, .id_count = 5, .flags = JOBQ_READ_PAYLOAD });
    is(query.row_count, 4);
    static const uint32_t expected[] = { 20, 3, 100, 20 };
    for (uint32_t i = 0; i < 4; i++) {
        struct jobq_row r = as_it_is(b, expected[i]);
        row_is(&query.rows[i], &r);
    }
    query = found_by((struct jobq_query){ .ids = ids, .id_count = 1 });
    ok(!query.rows[0].payload.data);
    is(query.rows[0].payload_bytes, 1);
}
EITHER(by_ids)

static void listed(struct batch *b)
{
    put_many(100, 5);
    page_is(b, (struct jobq_query){ .limit = MANY }, 0, MANY);
    for (uint32_t from = 0; from < MANY; from += 6) {
        struct jobq_query page = { .limit = 6 };
        if (from)
            page.after = id(from - 1);
        page_is(b, page, from, 6);
    }
    page_is(b, (struct jobq_query){ .limit = 100, .bytes = 9 }, 0, 9); /* of a byte each */
    page_is(b, (struct jobq_query){ .limit = 100, .after = id(MANY) }, 100, 5);
}
EITHER(listed)

static void listed_by_filter(struct batch *b)
{
    uint32_t shown = b->ended ? 1u << JOBQ_COMPLETED : 1u << JOBQ_RUNNING;
    uint32_t other = b->ended ? 1u << JOBQ_RUNNING : 1u << JOBQ_COMPLETED;
    put_many(100, 5);
    page_is(b, (struct jobq_query){ .limit = 100, .states = shown }, 0, MANY);
    page_is(b, (struct jobq_query){ .limit = 6, .states = shown, .after = id(3) }, 4, 6);
    page_is(b, (struct jobq_query){ .limit = 100, .states = other }, 0, 0);
    page_is(b, (struct jobq_query){ .limit = 100, .states = 1u << JOBQ_READY | other }, 100, 5);
    page_is(b, (struct jobq_query){ .limit = 8, .states = shown, .queue = text("q"), .kind = text("k") }, 0, 8);
    page_is(b, (struct jobq_query){ .limit = 8, .kind = text("l") }, 0, 0);
    page_is(b, (struct jobq_query){ .limit = 8, .queue = text("r") }, 0, 0);
    page_is(b, (struct jobq_query){ .limit = 8, .group = text("g") }, 0, 0);
    page_is(b, (struct jobq_query){ .limit = 8, .reason = JOBQ_REASON_PERMANENT }, 0, 0);
}
EITHER(listed_by_filter)

/* Those that ended by when they ended, the others by when they were put. */
static void listed_by_age(void)
{
    put_many(0, MANY);
    struct batch b = claim_many(me, MANY);
    tick(STEP);
    page_is(&b, (struct jobq_query){ .limit = 100, .older_ms = STEP / 2 }, 0, MANY);
    ack(&b, 0, MANY);
    b.ended = true;
    page_is(&b, (struct jobq_query){ .limit = 100, .older_ms = STEP / 2 }, 0, 0);
    put_many(100, 2);
    tick(STEP);
    page_is(&b, (struct jobq_query){ .limit = MANY, .older_ms = STEP / 2 }, 0, MANY);
}

/* Between a claim and its acks everything is looked at; nothing changes by it. */
static void looked_at_in_between(void)
{
    struct batch b = begun(false);
    for (size_t from = 0; from < MANY; from += 8) {
        is(found_by((struct jobq_query){ .limit = 100 }).row_count, MANY);
        counts("q", 0, MANY - from, from);
        is(stats_of(bytes(NULL, 0)).queue_count, 1);
        ack(&b, from, 8);
        is_over(&b, from, 8);
        runs(&b, from + 8, MANY - from - 8);
        tick(1000);
    }
    is(found_by((struct jobq_query){ .limit = 100, .states = 1u << JOBQ_COMPLETED }).row_count, MANY);
}

/* Another handle, which has looked before: what it remembers of the store is older than what it is shown. */
static void looks_at_all(struct actor *you, uint64_t running, uint64_t completed, const struct batch *b)
{
    struct actor *mine = me;
    me = you; /* all looks go by way of it */
    counts("q", 0, running, completed);
    is(found_by((struct jobq_query){ .limit = 100, .states = 1u << JOBQ_RUNNING }).row_count, running);
    is(found_by((struct jobq_query){ .limit = 100, .states = 1u << JOBQ_COMPLETED }).row_count, completed);
    is(found_by((struct jobq_query){ .limit = 100, .states = 1u << JOBQ_READY }).row_count, 0);
    if (b)
        all_but(b, 0);
    me = mine;
}

static void another_handle_looks(void)
{
    struct actor *you = another();
    looks_at_all(you, 0, 0, NULL);
    put_many(0, MANY);
    struct batch b = claim_many(me, MANY);
    looks_at_all(you, MANY, 0, &b);
    ack(&b, 0, MANY);
    b.ended = true;
    looks_at_all(you, 0, MANY, &b);
    for (uint32_t i = 0; i < MANY; i++)
        change_ok(by_operator(id(i), ANY_STATE, JOBQ_ROW_GONE));
    looks_at_all(you, 0, 0, NULL);
    put_many(100, MANY);
    b = claim_many(me, MANY);
    looks_at_all(you, MANY, 0, &b);
}

/* It does something as the first thing after: it knows nothing of them either. */
static void another_handle_acts(struct batch *b)
{
    struct actor *you = another();
    struct jobq_want none = due(9);
    want(you, &none);
    is(none.row_count, 0);
    put_many(100, 10);
    struct batch next = claim_many(me, 10);
    struct jobq_change c = by_operator(id(103), ANY_STATE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_PAYLOAD;
    c.payload = text("edited");
    send(you, &c, 1);
    is(c.verdict, JOBQ_OK);
    struct jobq_row expected = as_claimed(103, &next.w);
    expected.payload = text("edited");
    expected.payload_bytes = 6;
    expected.edits = 1;
    row_is(row_n(103), &expected);
    ack(&next, 0, 10);
    struct jobq_want again = due(100);
    want(you, &again);
    is(again.row_count, 0);
    struct jobq_put p = put_of(105);
    struct jobq_exchange x = { .puts = &p, .put_count = 1 };
    go(you, &x);
    is(p.verdict, JOBQ_ALREADY);
    is(p.state, JOBQ_ROW_COMPLETED);
    struct jobq_beat beat = { .token = b->w.token, .lease_ms = LEASE };
    x = (struct jobq_exchange){ .beats = &beat, .beat_count = 1 };
    go(you, &x);
    is(beat.held, b->ended ? 0 : MANY);
    is_over(&next, 0, 3);
    is_over(&next, 4, 6);
}
EITHER(another_handle_acts)

/* Names as long as they may be are in each row. */
static void a_long_name_of_a_worker(void)
{
    static char name[255]; /* as long as the core lets one be */
    memset(name, 'w', sizeof name);
    put_many(0, MANY);
    struct jobq_want w = due(MANY);
    w.worker = bytes(name, sizeof name);
    struct batch b = claim_as(me, w, MANY);
    runs(&b, 0, MANY);
    ack(&b, 0, 10);
    is_over(&b, 0, 10);
    change_ok(by_token(&b.w.rows[20], JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    bytes_are(row_n(20)->worker, w.worker);
}

/* ---- statistics -------------------------------------------------------------------------------------------------- */

static void kinds_and_the_oldest(struct batch *b)
{
    is(stats_of(bytes(NULL, 0)).kind_count, 0);
    is(queue_stats("q").oldest_ready_at_ms, 0);
    is(queue_stats("q").stuck, 0);
    put_many(100, 9);
    struct jobq_stats s = stats_of(bytes(NULL, 0));
    is(s.kind_count, 1);
    is(s.kinds[0].ready, 9);
    is(s.queues[0].oldest_ready_at_ms, row_n(100)->run_at_ms);
    is(s.queues[0].present[JOBQ_READY], 9);
    counts("q", 9, b->ended ? 0 : MANY, b->ended ? MANY : 0);
    struct batch next = claim_many(me, 9);
    s = stats_of(bytes(NULL, 0));
    is(s.kind_count, 0);
    is(s.queues[0].oldest_ready_at_ms, 0);
    tick(LEASE);
    is(queue_stats("q").stuck, b->ended ? 9 : MANY + 9);
    runs(&next, 0, 9);
}
EITHER(kinds_and_the_oldest)

#define MINUTE ((int64_t)60000)

static void durations_are(const struct jobq_durations *d, int64_t ms, uint64_t count)
{
    is(d->count, count);
    for (int i = 0; i < JOBQ_DURATION_BUCKETS; i++)
        is(d->buckets[i], i == jobq_duration_bucket(ms) ? count : 0);
    ok(d->total_ms >= ms * (int64_t)count && d->total_ms < (ms + MINUTE) * (int64_t)count);
}

/* Counted when they are claimed and when they are acked, whatever is written of it then. */
static void figures(void)
{
    put_many(0, MANY);
    tick(20 * MINUTE);
    struct batch b = claim_many(me, MANY);
    struct jobq_queue_stats q = queue_stats("q");
    durations_are(&q.waited, 20 * MINUTE, MANY);
    is(q.ran.count, 0);
    tick(100 * MINUTE);
    ack(&b, 0, 12);
    ack(&b, 12, 12);
    q = queue_stats("q");
    durations_are(&q.waited, 20 * MINUTE, MANY);
    durations_are(&q.ran, 100 * MINUTE, MANY);
    is(q.last_minute.completed, MANY);
    is(q.last_quarter.completed, MANY);
    is(q.last_finished_at_ms, row_n(23)->finished_at_ms);
    tick(20 * MINUTE);
    change_ok(by_operator(id(3), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING));
    change_ok(by_operator(id(4), JOBQ_ROW_ENDED, JOBQ_ROW_GONE));
    q = queue_stats("q");
    durations_are(&q.ran, 100 * MINUTE, MANY);
    is(q.last_quarter.completed, 0);
    is(q.completed_total, MANY);
    is(q.last_finished_at_ms, row_n(23)->finished_at_ms);
    claim_n(3);
    is(queue_stats("q").waited.count, MANY + 1);
}

/* ---- copies -------------------------------------------------------------------------------------------------------- */

/* What is there as lines, in order of arrival, in pages of this many. */
static void dump_is(const struct batch *b, const uint32_t *numbers, size_t count, size_t limit)
{
    struct jobq_dump page = { .size = sizeof page, .kind = JOBQ_ITEM_ROW };
    size_t at = 0;
    do {
        page.limit = limit;
        dump(me, &page);
        ok(page.item_count <= limit);
        for (size_t i = 0; i < page.item_count; i++) {
            struct jobq_item expected = { .kind = JOBQ_ITEM_ROW };
            struct jobq_bytes line, should;
            ok(at < count);
            expected.as.row.row = as_it_is(b, numbers[at++]);
            is(jobq_item_write(me->arena, &page.items[i], &line), JOBQ_OK);
            is(jobq_item_write(me->arena, &expected, &should), JOBQ_OK);
            bytes_are(line, should);
        }
        page.after = page.last;
    } while (page.item_count);
    is(at, count);
}

static void dumped(struct batch *b)
{
    uint32_t numbers[MANY + 3];
    put_many(100, 3);
    for (uint32_t i = 0; i < MANY + 3; i++)
        numbers[i] = i < MANY ? i : 100 - MANY + i;
    dump_is(b, numbers, MANY + 3, 7);
    dump_is(b, numbers, MANY + 3, 1000);
    all_but(b, 0);
}
EITHER(dumped)

/* Out, dropped, and in again: they are what they were, and go on under their token. */
static void dumped_and_loaded(struct batch *b)
{
    struct jobq_dump page = { .size = sizeof page, .kind = JOBQ_ITEM_ROW, .limit = 100 };
    struct jobq_change c[MANY];
    dump(me, &page);
    is(page.item_count, MANY);
    struct jobq_item *items = jobq_arena_alloc(me->arena, MANY * sizeof *items);
    ok(items != NULL);
    memcpy(items, page.items, MANY * sizeof *items);
    is(load(items, MANY), JOBQ_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        is(items[i].verdict, JOBQ_ALREADY);
        c[i] = by_operator(id(i), ANY_STATE, JOBQ_ROW_GONE);
    }
    all_but(b, 0);
    send(me, c, MANY);
    counts("q", 0, 0, 0);
    is(load(items, MANY), JOBQ_OK);
    for (uint32_t i = 0; i < MANY; i++)
        is(items[i].verdict, JOBQ_OK);
    all_but(b, 0);
    counts("q", 0, b->ended ? 0 : MANY, b->ended ? MANY : 0);
    ok(none_due());
    if (!b->ended)
        ack(b, 0, MANY);
    is_over(b, 0, MANY);
}
EITHER(dumped_and_loaded)

/* ---- events --------------------------------------------------------------------------------------------------------- */

static void keep_events(int64_t count)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_EVENTS, .events = count };
    is(configure(&s), JOBQ_OK);
}

/* The newest events are of these rows, in this order, come to this state. */
static void told(const struct batch *b, int64_t after, const uint32_t *numbers, size_t count, int state, int reason)
{
    struct jobq_event_query query;
    int status;
    do {
        query = (struct jobq_event_query){ .size = sizeof query, .after = after, .limit = 1000 };
        status = store_table()->events(me->store, &query, me->arena, &me->err);
    } while (status == JOBQ_FAILED && strcmp(me->err.text, "injected") == 0);
    is(status, JOBQ_OK);
    is(query.row_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct jobq_event_row *e = &query.rows[i];
        is(e->cursor, after + 1 + (int64_t)i);
        ids_are(e->id, id(numbers[i]));
        is(e->state, state);
        is(e->reason, reason);
        is(e->attempt, 1);
        is(e->run_at_ms, as_put(numbers[i]).run_at_ms);
        bytes_are(e->queue, text("q"));
        bytes_are(e->kind, text("k"));
        bytes_are(e->worker, state == JOBQ_ROW_RUNNING ? b->w.worker : text(NULL));
    }
}

static const uint32_t rising[MANY] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                       12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23 };

/* Claimed before anybody asked; what happens from now on is told, of each. */
static void events_while_they_run(void)
{
    struct batch b = begun(false);
    keep_events(1000);
    ack(&b, 0, 10);
    told(&b, 0, rising, 10, JOBQ_ROW_COMPLETED, 0);
    struct jobq_beat back = { .token = b.w.token, .flags = JOBQ_BEAT_RELEASE };
    struct jobq_exchange x = { .beats = &back, .beat_count = 1 };
    go(me, &x);
    is(back.held, 14);
    told(&b, 10, rising + 10, 14, JOBQ_ROW_WAITING, 0);
    is_over(&b, 0, 10);
}

static void events_of_what_ended(void)
{
    struct batch b = begun(true);
    keep_events(1000);
    put_many(100, 1);
    const struct jobq_row *r = claim_n(100);
    struct jobq_change c = plain_ack(r);
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .trim = { .limit = 1000 } };
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = 11;
    go(me, &x);
    told(&b, 3, rising, 14, JOBQ_ROW_GONE, JOBQ_REASON_RETENTION);
    change_ok(by_operator(id(20), JOBQ_ROW_ENDED, JOBQ_ROW_GONE));
    told(&b, 17, rising + 20, 1, JOBQ_ROW_GONE, 0);
    is_over(&b, 14, 6);
}

/* Claimed while events are kept, and ended when they are not. */
static void events_and_no_more(void)
{
    put_many(0, MANY);
    keep_events(1000);
    struct batch b = claim_many(me, MANY);
    told(&b, 0, rising, MANY, JOBQ_ROW_RUNNING, 0);
    keep_events(0);
    ack(&b, 0, 12);
    is_over(&b, 0, 12);
    put_many(100, MANY);
    struct batch next = claim_many(me, MANY);
    keep_events(1000);
    ack(&b, 12, 12);
    told(&b, MANY, rising + 12, 12, JOBQ_ROW_COMPLETED, 0);
    is_over(&b, 12, 12);
    runs(&next, 0, MANY);
}

/* ---- limits and groups ----------------------------------------------------------------------------------------------------- */

/* Set while they run: they are counted, and each that ends leaves its slot. */
static void a_limit_comes(struct batch *b)
{
    put_many(100, 50);
    limit_queue("q", JOBQ_SETTING_CONCURRENCY, 30, 0);
    is(limits_of(JOBQ_LIMIT_QUEUE, "q", NULL)->running, b->ended ? 0 : MANY);
    is(starts(100), b->ended ? 30 : 30 - MANY);
    is(starts(100), 0);
    all_but(b, 0);
    if (b->ended)
        return;
    ack(b, 0, 10);
    is_over(b, 0, 10);
    is(starts(9), 9);
    is(starts(9), 1);
    struct jobq_beat back = { .token = b->w.token, .flags = JOBQ_BEAT_RELEASE };
    struct jobq_exchange x = { .beats = &back, .beat_count = 1 };
    go(me, &x);
    is(back.held, 14);
    is(limits_of(JOBQ_LIMIT_QUEUE, "q", NULL)->running, 16);
    struct jobq_want w = due(100);
    want(me, &w);
    is(w.row_count, 14);
    for (uint32_t i = 0; i < 14; i++)
        ids_are(w.rows[i].id, id(10 + i));
    limit_queue("q", JOBQ_SETTING_CONCURRENCY, JOBQ_LIMIT_NONE, 0);
    is(starts(100), 34);
}
EITHER(a_limit_comes)

/* What starts from now on is counted. */
static void a_rate_comes(struct batch *b)
{
    put_many(100, 50);
    limit_queue("q", JOBQ_SETTING_RATE, 12, STEP);
    is(starts(100), 12);
    is(starts(100), 0);
    tick(2 * STEP);
    is(starts(8), 8);
    is(starts(100), 4);
    all_but(b, 0);
}
EITHER(a_rate_comes)

/* Depth counts what waits. */
static void a_depth_comes(struct batch *b)
{
    limit_queue("q", JOBQ_SETTING_DEPTH, 5, 0);
    put_many(100, 5);
    is(put_in(200, "q", NULL), JOBQ_FULL);
    if (!b->ended)
        change_ok(by_token(&b->w.rows[3], JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    claim_n(b->ended ? 100 : 3);
    is(put_in(200, "q", NULL), b->ended ? JOBQ_OK : JOBQ_FULL);
    all_but(b, 3);
}
EITHER(a_depth_comes)

/* Groups come into the queue: turns, among which those without a group are one. */
static void groups_come(struct batch *b)
{
    for (uint32_t i = 0; i < 12; i++)
        is(put_in(200 + i, "q", i < 6 ? "a" : "b"), JOBQ_OK);
    put_many(100, 12);
    limit_group("a", JOBQ_SETTING_CONCURRENCY, 2, 0);
    struct jobq_want w = due(12);
    w.share = 1;
    want(me, &w);
    is(w.row_count, 12);
    static const uint32_t turns[] = { 100, 200, 206, 101, 201, 207, 102, 208, 103, 209, 104, 210 };
    for (uint32_t i = 0; i < 12; i++)
        ids_are(w.rows[i].id, id(turns[i]));
    all_but(b, 0);
    is(starts(100), 8); /* 7 of no group, one of b */
    if (!b->ended)
        ack(b, 0, MANY);
    is_over(b, 0, MANY);
    is(starts(100), 0);
    counts("q", 4, 20, MANY);
}
EITHER(groups_come)

#define LIMITS JOBQ_CAP_GROUPS
static const struct test tests[] = {
    BOTH("by ids", by_ids, 0),
    BOTH("listed", listed, 0),
    BOTH("listed by filter", listed_by_filter, 0),
    ONE("listed by age", listed_by_age, 0),
    ONE("looked at in between", looked_at_in_between, 0),
    ONE("another handle looks", another_handle_looks, 0),
    BOTH("another handle acts", another_handle_acts, 0),
    ONE("a long name of a worker", a_long_name_of_a_worker, 0),
    BOTH("kinds and the oldest", kinds_and_the_oldest, 0),
    ONE("figures", figures, JOBQ_CAP_FIGURES),
    BOTH("dumped", dumped, JOBQ_CAP_COPY),
    BOTH("dumped and loaded", dumped_and_loaded, JOBQ_CAP_COPY),
    ONE("events while they run", events_while_they_run, JOBQ_CAP_EVENTS),
    ONE("events of what ended", events_of_what_ended, JOBQ_CAP_EVENTS),
    ONE("events, and no more of them", events_and_no_more, JOBQ_CAP_EVENTS),
    BOTH("a limit comes (rule 10)", a_limit_comes, LIMITS),
    BOTH("a rate comes (rule 10)", a_rate_comes, LIMITS),
    BOTH("a depth comes", a_depth_comes, 0),
    BOTH_BY_RANK("groups come", groups_come, LIMITS),
};
const struct topic topic_batch_read = TOPIC("batch read", tests);
