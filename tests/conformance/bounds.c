/* SPDX-License-Identifier: MIT */
/* As much as is allowed: lifecycle "Defaults and limits"; contract "Bounds". */
#include "suite.h"

#include <stdlib.h>

#define ITEMS 1000

/* 1,000 items in one exchange, three times over. */
static void a_thousand_items(void)
{
    struct jobq_put *puts = calloc(ITEMS, sizeof *puts);
    struct jobq_change *changes = calloc(ITEMS, sizeof *changes);
    ok(puts && changes);
    for (uint32_t i = 0; i < ITEMS; i++)
        puts[i] = put_of(i);
    struct jobq_exchange x = { .puts = puts, .put_count = ITEMS };
    go(me, &x);
    for (int i = 0; i < ITEMS; i++)
        is(puts[i].verdict, JOBQ_OK);
    struct jobq_want w = due(ITEMS);
    want(me, &w);
    is(w.row_count, ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++) {
        ids_are(w.rows[i].id, id(i));
        changes[i] = completed(&w.rows[i], "r");
    }
    struct jobq_exchange y = { .changes = changes, .change_count = ITEMS,
                               .trim = { .limit = 512, .keep_count = { 0, 0, 0, 0, 100, 100, 100 } } };
    go(me, &y);
    for (int i = 0; i < ITEMS; i++)
        is(changes[i].verdict, JOBQ_OK);
    struct jobq_queue_stats q = queue_stats("q");
    is(q.completed_total, ITEMS);
    is(q.present[JOBQ_COMPLETED], ITEMS - 512);
    free(puts);
    free(changes);
}

/* 4 MiB in one exchange, all of it one payload, and as large a result. */
static void large_bytes(void)
{
    const size_t size = (size_t)4 << 20;
    uint8_t *large = malloc(size);
    ok(large != NULL);
    for (size_t i = 0; i < size; i++)
        large[i] = (uint8_t)(i * 7 + (i >> 11));
    struct jobq_put p = put_of(1);
    p.payload = bytes(large, size);
    is(put(&p), JOBQ_OK);
    const struct jobq_row *r = claim_n(1);
    bytes_are(r->payload, bytes(large, size));
    struct jobq_change c = completed(r, NULL);
    c.result = bytes(large, size);
    change_ok(c);
    bytes_are(row_n(1)->result, bytes(large, size));
    is(row_n(1)->payload_bytes, size);
    free(large);
}

/* Names, keys, errors at their largest. */
static void longest_bytes(void)
{
    static char longest[8192];
    memset(longest, 'x', sizeof longest);
    struct jobq_put p = put_of(1);
    p.queue = p.kind = p.group = p.trace = bytes(longest, 255);
    p.key = bytes(longest, 1024);
    is(put(&p), JOBQ_OK);
    struct jobq_want w = due(1);
    const struct jobq_bytes name = bytes(longest, 255);
    w.queues = w.kinds = &name;
    w.kind_count = 1;
    w.worker = name;
    want(me, &w);
    is(w.row_count, 1);
    struct jobq_row r = w.rows[0];
    for (int i = 0; i < 10; i++) {
        struct jobq_change c = by_operator(id(1), ANY_STATE, JOBQ_ROW_KEEP);
        c.set = JOBQ_ADD_ERROR | JOBQ_SET_PROGRESS;
        c.progress = bytes(longest, 4096);
        c.error = bytes(longest, 8192);
        change_ok(c);
    }
    const struct jobq_row *now = row_n(1);
    is(now->error_count, 10);
    bytes_are(now->errors[9].text, bytes(longest, 8192));
    bytes_are(now->errors[0].worker, name);
    bytes_are(now->key, p.key);
    bytes_are(now->progress, bytes(longest, 4096));
    is(r.attempt, 1);
}

/* Numbers at their ends come back as they are. */
static void largest_numbers(void)
{
    struct jobq_put p[] = { put_of(1), put_of(2) };
    p[0].priority = INT32_MAX;
    p[1].priority = INT32_MIN;
    p[0].rank_add_ms = INT64_MAX;
    p[1].rank_add_ms = INT64_MIN;
    p[0].timeout_ms = INT64_MAX;
    p[0].expires_at = from_now(INT64_MAX);
    struct jobq_exchange x = { .puts = p, .put_count = 2 };
    go(me, &x);
    is(row_n(1)->priority, INT32_MAX);
    is(row_n(2)->priority, INT32_MIN);
    is(row_n(1)->rank_add_ms, INT64_MAX);
    is(row_n(2)->rank_add_ms, INT64_MIN);
    is(row_n(1)->expires_at_ms, INT64_MAX);
    claim_n(2);
    struct jobq_want w = due(1);
    w.lease_ms = INT64_MAX;
    w.others = SIZE_MAX;
    want(me, &w);
    is(w.row_count, 1);
    is(w.rows[0].stop_at_ms, INT64_MAX);
    is(w.rows[0].lease_until_ms, INT64_MAX);
    struct jobq_change c = by_token(&w.rows[0], JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING);
    c.set = JOBQ_SET_COUNTERS;
    c.failures = c.crashes = c.snoozes = c.releases = c.redrives = INT32_MAX;
    change_ok(c);
    const struct jobq_row *r = claim_n(1);
    is(r->failures, INT32_MAX);
    is(r->releases, INT32_MAX);
    struct jobq_beat b = { .token = r->token, .flags = JOBQ_BEAT_RELEASE };
    struct jobq_exchange y = { .beats = &b, .beat_count = 1 };
    go(me, &y);
    is(b.held, 1);
    is(row_n(1)->releases, INT32_MAX); /* saturated */
}

/* Rule 11: as many parents as an exchange takes. */
static void a_thousand_parents(void)
{
    struct jobq_put *puts = calloc(ITEMS, sizeof *puts);
    struct jobq_parent *parents = calloc(ITEMS, sizeof *parents);
    ok(puts && parents);
    for (uint32_t i = 0; i < ITEMS; i++) {
        puts[i] = put_of(i);
        parents[i] = (struct jobq_parent){ .id = id(i), .rule = JOBQ_PARENT_FAIL };
    }
    struct jobq_exchange x = { .puts = puts, .put_count = ITEMS };
    go(me, &x);
    put_child(5000, parents, ITEMS);
    is(row_n(5000)->pending, ITEMS);
    struct jobq_want w = due(ITEMS);
    want(me, &w);
    struct jobq_change *changes = calloc(ITEMS, sizeof *changes);
    ok(changes != NULL);
    for (size_t i = 0; i < w.row_count; i++)
        changes[i] = completed(&w.rows[i], "r");
    struct jobq_exchange y = { .changes = changes, .change_count = w.row_count - 1 };
    go(me, &y);
    is(row_n(5000)->pending, 1);
    is(row_n(5000)->state, JOBQ_ROW_BLOCKED);
    change_ok(changes[ITEMS - 1]);
    claim_n(5000);
    free(puts);
    free(parents);
    free(changes);
}

/* A backlog does not hide what is claimed next. */
static void behind_a_backlog(void)
{
    struct jobq_put *puts = calloc(ITEMS, sizeof *puts);
    ok(puts != NULL);
    for (uint32_t page = 0; page < 5; page++) {
        for (uint32_t i = 0; i < ITEMS; i++) {
            puts[i] = put_of(10 + page * ITEMS + i);
            puts[i].run_at = from_now(page % 2 ? STEP : 0);
            puts[i].rank_add_ms = page % 2 ? -100 * STEP : 100 * STEP;
        }
        struct jobq_exchange x = { .puts = puts, .put_count = ITEMS };
        go(me, &x);
    }
    put_ok(1);
    claim_n(1);
    claim_n(10);
    tick(STEP);
    claim_n(10 + ITEMS);
    free(puts);
}

static const struct test tests[] = {
    { .name = "1,000 puts, rows and changes in one exchange", .run = a_thousand_items, .flags = PLAIN_ONLY },
    { .name = "4 MiB of payload and of result (S14)", .run = large_bytes },
    { .name = "the longest names, keys, errors", .run = longest_bytes },
    { .name = "numbers at their ends", .run = largest_numbers },
    { .name = "1,000 parents (rule 11)", .run = a_thousand_parents, .needs = JOBQ_CAP_EDGES,
      .flags = PLAIN_ONLY },
    { .name = "a backlog of 5,000", .run = behind_a_backlog, .flags = PLAIN_ONLY },
};
const struct topic topic_bounds = TOPIC("bounds", tests);
