/* SPDX-License-Identifier: MIT */
/* Retention: lifecycle rule 14; contract "trim". */
#include "suite.h"

#include <stdlib.h>

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

/* ---- results: they may go before their jobs ------------------------------------------------------------------------- */

static void keeps_results_for(int64_t ms)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_KEEP,
                               .name = text("q") };
    for (int i = 0; i < 8; i++)
        s.keep_count[i] = s.keep_ms[i] = -1;
    s.keep_ms[JOBQ_KEEP_RESULTS] = ms;
    is(configure(&s), JOBQ_OK);
}

/* A job that ends beside them and takes up to `limit` of them along. */
static void trim_with(uint32_t number, size_t limit)
{
    put_ok(number);
    end_with(completed(claim_n(number), "r"), keep(-1, -1, limit));
}

static bool has_result(uint32_t number)
{
    return row_n(number)->result.data != NULL;
}

static void results_over_their_age(void)
{
    keeps_results_for(STEP);
    ended(1, JOBQ_ROW_COMPLETED);
    ended(2, JOBQ_ROW_DEAD);
    struct jobq_row before = *row_n(1);
    trim_with(3, 9);
    ok(has_result(1)); /* not yet */
    tick(STEP / 2);
    trim_with(4, 9);
    ok(has_result(1));
    tick(STEP / 2);
    trim_with(5, 9);
    struct jobq_row after = *row_n(1);
    ok(!after.result.data);
    is(after.state, JOBQ_ROW_COMPLETED); /* nothing else goes */
    is(after.finished_at_ms, before.finished_at_ms);
    is(after.edits, before.edits);
    is(after.attempt, 1);
    bytes_are(after.payload, text("p"));
    ok(has_result(4) && has_result(5) && exists(2));
    is(present(JOBQ_COMPLETED), 4);
    is(queue_stats("q").completed_trimmed, 0);
}

/* What the exchange says holds for a queue without a setting of its own, and only when it ends jobs as completed. */
static void results_by_default(void)
{
    struct jobq_trim t = keep(-1, -1, 9);
    t.keep_ms[JOBQ_KEEP_RESULTS] = STEP;
    ended(1, JOBQ_ROW_COMPLETED);
    tick(2 * STEP);
    put_ok(2);
    end_with(by_operator(id(2), LIVE, JOBQ_ROW_DEAD), t);
    ok(has_result(1));
    put_ok(3);
    end_with(completed(claim_n(3), "r"), t);
    ok(!has_result(1) && has_result(3));
    keeps_results_for(-1);
    tick(2 * STEP);
    put_ok(4);
    end_with(completed(claim_n(4), "r"), t);
    ok(has_result(3));
}

/* The oldest first; whoever comes later goes on, and does not look at the same ones again. */
static void results_up_to_the_limit(void)
{
    keeps_results_for(STEP);
    for (uint32_t i = 1; i <= 7; i++)
        ended(i, JOBQ_ROW_COMPLETED);
    tick(2 * STEP);
    trim_with(8, 3);
    for (uint32_t i = 1; i <= 7; i++)
        is(has_result(i), i > 3);
    trim_with(9, 3);
    for (uint32_t i = 1; i <= 7; i++)
        is(has_result(i), i > 6);
    trim_with(10, 3);
    ok(!has_result(7) && has_result(8));
}

/* Those of one batch ended at one instant. */
static void results_of_one_instant(void)
{
    enum { ROWS = 9 };
    struct jobq_change changes[ROWS];
    keeps_results_for(STEP);
    for (uint32_t i = 0; i < ROWS; i++)
        put_ok(i + 1);
    struct jobq_want w = due(ROWS);
    want(me, &w);
    is(w.row_count, ROWS);
    for (uint32_t i = 0; i < ROWS; i++)
        changes[i] = completed(&w.rows[i], "r");
    struct jobq_exchange x = { .changes = changes, .change_count = ROWS };
    go(me, &x);
    tick(2 * STEP);
    for (uint32_t round = 1; round <= ROWS; round++) {
        size_t left = 0;
        trim_with(ROWS + round, 1);
        for (uint32_t i = 1; i <= ROWS; i++)
            left += has_result(i);
        is(left, ROWS - round);
    }
}

/* Rows and results share the limit, rows first; a row without a result is looked at too. */
static void results_after_rows(void)
{
    keeps_results_for(STEP);
    put_ok(1);
    struct jobq_change without = completed(claim_n(1), "r");
    without.set = 0;
    change_ok(without);
    tick(1000);
    for (uint32_t i = 2; i <= 4; i++)
        ended(i, JOBQ_ROW_COMPLETED);
    tick(2 * STEP);
    trim_with(5, 2);
    ok(exists(1) && !has_result(2) && has_result(3));
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_KEEP,
                               .name = text("q") };
    for (int i = 0; i < 8; i++)
        s.keep_count[i] = 4;
    s.keep_ms[JOBQ_KEEP_RESULTS] = STEP;
    is(configure(&s), JOBQ_OK);
    trim_with(6, 3); /* 1 and 2 are over the count, and then 3 is the first */
    ok(!exists(1) && !exists(2) && exists(3) && !has_result(3) && has_result(4));
}

/* A life that was made shorter, longer, and taken away. */
static void results_of_a_changed_life(void)
{
    keeps_results_for(10 * STEP);
    ended(1, JOBQ_ROW_COMPLETED);
    tick(2 * STEP);
    trim_with(2, 9);
    ok(has_result(1));
    keeps_results_for(STEP);
    trim_with(3, 9);
    ok(!has_result(1) && has_result(2));
    keeps_results_for(10 * STEP);
    tick(2 * STEP);
    trim_with(4, 9);
    ok(has_result(2) && has_result(3));
    tick(11 * STEP);
    trim_with(5, 9);
    ok(!has_result(2) && !has_result(3) && !has_result(4) && has_result(5));
}

/* Large ones are kept elsewhere in some stores. */
static void large_results_go_too(void)
{
    size_t size = 300000;
    uint8_t *large = malloc(size);
    ok(large != NULL);
    memset(large, 'x', size);
    keeps_results_for(STEP);
    put_ok(1);
    struct jobq_change c = completed(claim_n(1), "r");
    c.result = (struct jobq_bytes){ large, size };
    change_ok(c);
    is(row_n(1)->result.size, size);
    free(large);
    tick(2 * STEP);
    trim_with(2, 9);
    ok(!has_result(1) && has_result(2));
}

/* They come with the times that they had elsewhere. */
static void results_of_loaded_rows(void)
{
    struct jobq_item item = { .kind = JOBQ_ITEM_ROW };
    struct jobq_row *r = &item.as.row.row;
    keeps_results_for(STEP);
    ended(1, JOBQ_ROW_COMPLETED);
    tick(3 * STEP);
    trim_with(2, 9);
    ok(!has_result(1));
    int64_t then = row_n(1)->finished_at_ms - 1;
    *r = (struct jobq_row){ .id = id(3), .queue = text("q"), .kind = text("k"), .payload = text("p"), .payload_bytes = 1,
                            .state = JOBQ_ROW_COMPLETED, .created_at_ms = 1000, .run_at_ms = 1000,
                            .finished_at_ms = then, .result = text("r") };
    is(load(&item, 1), JOBQ_OK);
    is(item.verdict, JOBQ_OK);
    ok(has_result(3));
    trim_with(4, 9);
    ok(!has_result(3) && has_result(4));
}

/* The setting is part of a copy. */
static void results_setting_is_copied(void)
{
    struct jobq_dump page = { .size = sizeof page, .kind = JOBQ_ITEM_SETTINGS, .limit = 9 };
    keeps_results_for(STEP);
    dump(me, &page);
    is(page.item_count, 1);
    struct jobq_item item = page.items[0];
    is(item.as.settings.settings.keep_ms[JOBQ_KEEP_RESULTS], STEP);
    is(item.as.settings.settings.keep_count[JOBQ_KEEP_RESULTS], 0);
    item.as.settings.settings.name = text("r");
    is(load(&item, 1), JOBQ_OK);
    is(item.verdict, JOBQ_OK);
    page = (struct jobq_dump){ .size = sizeof page, .kind = JOBQ_ITEM_SETTINGS, .limit = 9 };
    dump(me, &page);
    is(page.item_count, 2);
    is(page.items[1].as.settings.settings.keep_ms[JOBQ_KEEP_RESULTS], STEP);
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
    { .name = "results over their age (rule 14)", .run = results_over_their_age, .needs = JOBQ_CAP_RESULTS },
    { .name = "results by what the exchange says", .run = results_by_default, .needs = JOBQ_CAP_RESULTS },
    { .name = "results up to the limit, then on from there", .run = results_up_to_the_limit, .needs = JOBQ_CAP_RESULTS },
    { .name = "results of one instant", .run = results_of_one_instant, .needs = JOBQ_CAP_RESULTS },
    { .name = "results after rows", .run = results_after_rows, .needs = JOBQ_CAP_RESULTS },
    { .name = "results whose life was changed", .run = results_of_a_changed_life, .needs = JOBQ_CAP_RESULTS },
    { .name = "large results go too", .run = large_results_go_too, .needs = JOBQ_CAP_RESULTS },
    { .name = "results of rows that were loaded", .run = results_of_loaded_rows, .needs = JOBQ_CAP_RESULTS | JOBQ_CAP_COPY },
    { .name = "the life of results in a copy", .run = results_setting_is_copied, .needs = JOBQ_CAP_RESULTS | JOBQ_CAP_COPY },
};
const struct topic topic_trim = TOPIC("trim", tests);
