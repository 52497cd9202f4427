/* SPDX-License-Identifier: MIT */
/* Items out and in as they are: backend.h "items", dump, load; S1, S14. */
#include "suite.h"

#include <stdlib.h>

/* ---- shorthands -------------------------------------------------------------------------------------- */

static int load_one(struct jobq_item *item)
{
    is(load(item, 1), JOBQ_OK);
    return item->verdict;
}

static void load_ok(struct jobq_item item)
{
    is(load_one(&item), JOBQ_OK);
}

/* A waiting row of queue "q" that is due; tests set what they are about. */
static struct jobq_item row_item(uint32_t number)
{
    struct jobq_item item = {.kind = JOBQ_ITEM_ROW};
    struct jobq_row *r = &item.as.row.row;
    r->id = id(number);
    r->queue = text("q");
    r->kind = text("k");
    r->payload = text("p");
    r->payload_bytes = 1;
    r->state = JOBQ_ROW_WAITING;
    r->due = 1;
    r->created_at_ms = r->run_at_ms = 1000;
    return item;
}

/* It runs under a token that no store of today has drawn. */
static struct jobq_item running_item(uint32_t number, int64_t lease_until_ms)
{
    struct jobq_item item = row_item(number);
    struct jobq_row *r = &item.as.row.row;
    r->state = JOBQ_ROW_RUNNING;
    r->due = 0;
    r->attempt = 3;
    r->fence = (INT64_C(1) << 52) + 5;
    memcpy(r->token.bytes, "mintmint\0\x10\0\0\0\0\0\5", 16);
    r->worker = text("elsewhere");
    r->started_at_ms = 2000;
    r->lease_until_ms = lease_until_ms;
    return item;
}

static struct jobq_item key_item(uint32_t job, int hold, int ended, int64_t window_until_ms)
{
    struct jobq_item item = {.kind = JOBQ_ITEM_KEY};
    item.as.key = (struct jobq_item_key){.key = {.scope = {'s'}, .payload_digest = {'d'}, .hold = hold},
                                         .job = id(job),
                                         .ended = ended,
                                         .window_until_ms = window_until_ms};
    return item;
}

static int put_keyed(uint32_t number, struct jobq_put *out)
{
    static const struct jobq_put_key key = {.scope = {'s'}, .payload_digest = {'d'}};
    struct jobq_put p = put_of(number);
    p.unique = &key;
    put(&p);
    if (out)
        *out = p;
    return p.verdict;
}

/* All of a kind as text, in pages of this many. */
static char *dumped(struct actor *who, int kind, size_t limit, size_t *out_count)
{
    struct jobq_dump page = {.size = sizeof page, .kind = kind};
    char *all = NULL;
    size_t size, count = 0;
    FILE *f = open_memstream(&all, &size);
    ok(f != NULL);
    for (bool more = true; more;) {
        page.limit = limit;
        dump(who, &page);
        ok(page.item_count <= limit);
        more = page.item_count > 0;
        ok(!more || page.last.data);
        for (size_t i = 0; i < page.item_count; i++) {
            struct jobq_bytes line;
            is(page.items[i].kind, kind);
            is(jobq_item_write(who->arena, &page.items[i], &line), JOBQ_OK);
            fwrite(line.data, 1, line.size, f);
        }
        count += page.item_count;
        page.after = page.last;
    }
    fclose(f);
    if (out_count)
        *out_count = count;
    return all;
}

/* ---- rows -------------------------------------------------------------------------------------------- */

/* Every member, at its largest and with every byte. */
static void every_member(void)
{
    static uint8_t hostile[256];
    for (int i = 0; i < 256; i++)
        hostile[i] = (uint8_t)(255 - i);
    const struct jobq_bytes any = bytes(hostile, sizeof hostile);
    const struct jobq_row_error errors[] = {
        {.attempt = INT32_MAX, .kind = 2, .at_ms = INT64_MAX, .worker = text("w"), .text = any},
        {.text = bytes("", 0)}};
    struct jobq_item item = row_item(7);
    struct jobq_row *r = &item.as.row.row;
    r->state = JOBQ_ROW_DEAD;
    r->due = 0;
    r->reason = JOBQ_REASON_POISON;
    r->group = text("g");
    r->worker = text("w");
    r->payload = r->policy = r->result = r->progress = r->data = r->trace = r->key = any;
    r->payload_bytes = any.size;
    r->priority = -32768;
    r->rank_add_ms = INT64_MIN;
    r->attempt = INT64_MAX;
    r->failures = r->crashes = r->snoozes = r->releases = r->redrives = INT32_MAX;
    r->edits = UINT32_MAX;
    r->outcome = JOBQ_OUTCOME_FAIL;
    r->cancel_asked = r->alone = r->ran_alone = r->resumed = 1;
    r->run_at_ms = r->expires_at_ms = r->timeout_ms = r->callback_until_ms = INT64_MAX;
    r->started_at_ms = 5;
    r->finished_at_ms = 6;
    r->fence = 9;
    r->token.bytes[3] = 8;
    r->token.bytes[15] = 9; /* its fence */
    r->errors = errors;
    r->error_count = 2;
    load_ok(item);
    struct jobq_row expected = *r;
    const struct jobq_row *now = row_n(7);
    char *a = NULL, *b = NULL;
    size_t size;
    FILE *f = open_memstream(&a, &size);
    show_row(f, &expected);
    fclose(f);
    f = open_memstream(&b, &size);
    show_row(f, now);
    fclose(f);
    if (strcmp(a, b) != 0)
        fail_test(__FILE__, __LINE__, "loaded\n  %s\nand there is\n  %s", a, b);
    free(a);
    free(b);
}

static void a_waiting_row_is_claimed(void)
{
    struct jobq_item later = row_item(2);
    later.as.row.row.run_at_ms = now_of_store() + STEP;
    later.as.row.row.due = 0;
    load_ok(row_item(1));
    load_ok(later);
    bytes_are(claim_n(1)->payload, text("p"));
    ok(none_due());
    tick(STEP);
    claim_n(2);
}

/* Rows of equal rank come in the order in which they were loaded. */
static void arrival_is_anew(void)
{
    struct jobq_item items[] = {row_item(3), row_item(1), row_item(2)};
    is(load(items, 3), JOBQ_OK);
    claim_n(3);
    claim_n(1);
    claim_n(2);
}

static void a_running_row_is_held(void)
{
    struct jobq_item item = running_item(1, now_of_store() + LEASE);
    load_ok(item);
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 0);
    struct jobq_beat b = {.token = item.as.row.row.token, .lease_ms = LEASE};
    struct jobq_exchange x = {.beats = &b, .beat_count = 1};
    go(me, &x);
    is(b.held, 1);
    change_ok(completed(&item.as.row.row, "done elsewhere"));
    bytes_are(row_n(1)->result, text("done elsewhere"));
}

static void a_running_row_falls_overdue(void)
{
    struct jobq_item item = running_item(1, now_of_store() + LEASE);
    load_ok(item);
    put_ok(2);
    ok(claim_n(2)->fence > item.as.row.row.fence);
    tick(LEASE);
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 2);
    is(o.rows[0].overdue, JOBQ_OVERDUE_LEASE);
    is(o.rows[0].attempt, 3);
}

/* Judged once, counted once: what the sweeper before it found is not found anew. */
static void swept_stays(void)
{
    struct jobq_item item = running_item(1, 3000);
    item.as.row.row.stop_at_ms = 2500;
    item.as.row.swept = JOBQ_OVERDUE_LEASE;
    load_ok(item);
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 1);
    is(o.rows[0].overdue, JOBQ_OVERDUE_LEASE);
}

static void a_callback_comes_back(void)
{
    static const uint8_t secret[32] = {1, 2, 3};
    struct jobq_item item = row_item(1);
    item.as.row.row.state = JOBQ_ROW_BLOCKED;
    item.as.row.row.reason = JOBQ_REASON_CALLBACK;
    item.as.row.row.due = 0;
    item.as.row.row.outcome = JOBQ_OUTCOME_PARK;
    item.as.row.row.has_callback = 1;
    item.as.row.row.callback_until_ms = now_of_store() + STEP;
    item.as.row.has_digest = 1;
    memcpy(item.as.row.digest, secret, sizeof secret);
    load_ok(item);
    is(row_n(1)->has_callback, 1);
    struct jobq_change c = by_callback(id(1), secret, JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED), JOBQ_ROW_WAITING);
    c.set = JOBQ_SET_DATA;
    c.data = text("answer");
    change_ok(c);
    struct jobq_change again = c;
    is(change(&again), JOBQ_ALREADY);
    bytes_are(claim_n(1)->data, text("answer"));
}

static void what_is_there_is_left(void)
{
    put_ok(1);
    char *memory = remember(id(1));
    struct jobq_item items[] = {row_item(1), row_item(2), row_item(2)};
    items[0].as.row.row.payload = text("other");
    is(load(items, 3), JOBQ_OK);
    is(items[0].verdict, JOBQ_ALREADY);
    is(items[1].verdict, JOBQ_OK);
    is(items[2].verdict, JOBQ_ALREADY);
    is_as_remembered(id(1), memory);
    is(queue_stats("q").present[JOBQ_READY], 2);
    is(queue_stats("q").enqueued_total, 1); /* a load counts nothing */
}

/* ---- keys
 * ---------------------------------------------------------------------------------------------------------
 */

static void a_key_of_a_row_that_is_there(void)
{
    struct jobq_item item = row_item(1);
    item.as.row.has_key = 1;
    item.as.row.key = key_item(1, JOBQ_HOLD_LIVE, 0, 0).as.key.key;
    load_ok(item);
    load_ok(key_item(1, JOBQ_HOLD_LIVE, 0, 0));
    struct jobq_put p;
    is(put_keyed(2, &p), JOBQ_DUPLICATE);
    ids_are(p.holder, id(1));
    is(p.same_payload, 1);
    finish(1, JOBQ_ROW_DEAD);
    is(put_keyed(2, NULL), JOBQ_OK);
    struct jobq_change c = by_operator(id(1), ANY_STATE, JOBQ_ROW_WAITING);
    c.set = JOBQ_TAKE_KEY;
    is(change(&c), JOBQ_DUPLICATE);
    ids_are(c.holder, id(2));
}

/* The row alone takes no key: what the copy does not say is held is free. */
static void a_row_takes_no_key(void)
{
    struct jobq_item item = row_item(1);
    item.as.row.has_key = 1;
    item.as.row.key = key_item(1, JOBQ_HOLD_LIVE, 0, 0).as.key.key;
    load_ok(item);
    is(put_keyed(2, NULL), JOBQ_OK);
}

static void a_key_whose_row_is_gone(void)
{
    load_ok(key_item(1, JOBQ_HOLD_FOREVER, JOBQ_ROW_COMPLETED, 0));
    struct jobq_put p;
    is(put_keyed(2, &p), JOBQ_DUPLICATE);
    ids_are(p.holder, id(1));
    is(p.state, JOBQ_ROW_COMPLETED);
    struct jobq_item other = key_item(3, JOBQ_HOLD_LIVE, 0, 0);
    is(load_one(&other), JOBQ_ALREADY);
    is(put_keyed(2, &p), JOBQ_DUPLICATE);
    ids_are(p.holder, id(1));
}

static void a_window_ends(void)
{
    load_ok(key_item(1, JOBQ_HOLD_WINDOW, JOBQ_ROW_COMPLETED, now_of_store() + STEP));
    is(put_keyed(2, NULL), JOBQ_DUPLICATE);
    tick(STEP);
    is(put_keyed(2, NULL), JOBQ_OK);
}

/* ---- dependencies ------------------------------------------------------------------------------------ */

static struct jobq_item child_item(uint32_t number, const struct jobq_item_edge *edges, size_t count)
{
    struct jobq_item item = row_item(number);
    item.as.row.row.state = JOBQ_ROW_BLOCKED;
    item.as.row.row.reason = JOBQ_REASON_PARENTS;
    item.as.row.row.due = 0;
    item.as.row.row.pending = (uint32_t)count;
    item.as.row.edges = edges;
    item.as.row.edge_count = count;
    return item;
}

/* A child may come before its parent. */
static void children_wait_for_parents(void)
{
    const struct jobq_item_edge edges[] = {{.parent = id(1), .rule = JOBQ_PARENT_FAIL, .open = 1},
                                           {.parent = id(3), .rule = JOBQ_PARENT_IGNORE, .open = 1}};
    load_ok(row_item(1));
    load_ok(child_item(2, edges, 2));
    load_ok(row_item(3));
    is(row_n(2)->parent_count, 2);
    finish(1, JOBQ_ROW_COMPLETED);
    is(row_n(2)->pending, 1);
    finish(3, JOBQ_ROW_CANCELLED);
    is(row_n(2)->state, JOBQ_ROW_WAITING);
    claim_n(2);
}

/* A parent that had ended with edges left is worked off here. */
static void open_edges_fall_overdue(void)
{
    const struct jobq_item_edge edge = {.parent = id(1), .rule = JOBQ_PARENT_FAIL, .open = 1};
    struct jobq_item ended = row_item(1);
    ended.as.row.row.state = JOBQ_ROW_DEAD;
    ended.as.row.row.due = 0;
    ended.as.row.row.finished_at_ms = 2000;
    load_ok(child_item(2, &edge, 1));
    load_ok(ended);
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 1);
    is(o.rows[0].overdue, JOBQ_OVERDUE_EDGES);
    is(o.rows[0].child_count, 1);
    ids_are(o.rows[0].children[0].id, id(2));
}

static void closed_edges_open_again(void)
{
    const struct jobq_item_edge edge = {.parent = id(1), .rule = JOBQ_PARENT_FAIL, .open = 0};
    struct jobq_item child = child_item(2, &edge, 1);
    child.as.row.row.state = JOBQ_ROW_DEAD;
    child.as.row.row.reason = JOBQ_REASON_DEPENDENCY;
    child.as.row.row.pending = 0;
    child.as.row.row.finished_at_ms = 2000;
    load_ok(row_item(1));
    load_ok(child);
    struct jobq_change c = by_operator(id(2), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING);
    c.set = JOBQ_BLOCK_AGAIN;
    change_ok(c);
    is(row_n(2)->state, JOBQ_ROW_BLOCKED);
    is(row_n(2)->pending, 1);
    finish(1, JOBQ_ROW_COMPLETED);
    claim_n(2);
}

/* ---- settings and schedules -------------------------------------------------------------------------- */

static void settings_of_a_queue(void)
{
    struct jobq_item item = {.kind = JOBQ_ITEM_SETTINGS};
    struct jobq_settings *s = &item.as.settings.settings;
    *s = (struct jobq_settings){.size = sizeof *s,
                                .what = JOBQ_CONFIGURE_QUEUE,
                                .name = text("q"),
                                .paused = 1,
                                .depth = 1,
                                .set = JOBQ_SETTING_PAUSED | JOBQ_SETTING_DEPTH | JOBQ_SETTING_KEEP};
    for (int i = 0; i < 8; i++)
        s->keep_count[i] = 0;
    item.as.settings.enqueued_total = 10;
    item.as.settings.completed_total = 7;
    item.as.settings.dead_total = 2;
    item.as.settings.cancelled_total = 1;
    item.as.settings.failed_total = 5;
    item.as.settings.completed_trimmed = 6;
    item.as.settings.dead_trimmed = 4;
    item.as.settings.cancelled_trimmed = 3;
    load_ok(item);
    struct jobq_queue_stats q = queue_stats("q");
    is(q.paused, 1);
    is(q.enqueued_total, 10);
    is(q.completed_total, 7);
    is(q.dead_total, 2);
    is(q.cancelled_total, 1);
    is(q.failed_total, 5);
    is(q.completed_trimmed, 6);
    is(q.dead_trimmed, 4);
    is(q.cancelled_trimmed, 3);
    put_ok(1);
    struct jobq_put p = put_of(2);
    is(put(&p), JOBQ_FULL);
    ok(none_due());
    is(load_one(&item), JOBQ_ALREADY);
    is(queue_stats("q").enqueued_total, 11);
    struct jobq_change c = by_operator(id(1), LIVE, JOBQ_ROW_DEAD);
    struct jobq_exchange x = {
        .changes = &c, .change_count = 1, .trim = {.limit = 9, .keep_count = {9, 9, 9, 9, 9, 9, 9}}};
    go(me, &x);
    ok(!exists(1)); /* its own retention, not that of the exchange */
}

/* They hold where they were loaded, and what is set there already is left. */
static void limits_hold(void)
{
    struct jobq_item items[] = {{.kind = JOBQ_ITEM_SETTINGS}, {.kind = JOBQ_ITEM_SETTINGS}};
    struct jobq_settings *of_queue = &items[0].as.settings.settings, *of_group = &items[1].as.settings.settings;
    *of_queue = (struct jobq_settings){.size = sizeof *of_queue, .what = JOBQ_CONFIGURE_QUEUE, .name = text("q"),
                                       .set = JOBQ_SETTING_CONCURRENCY, .concurrency = 3};
    *of_group = (struct jobq_settings){.size = sizeof *of_group, .what = JOBQ_CONFIGURE_GROUP, .group = text("g"),
                                       .set = JOBQ_SETTING_CONCURRENCY, .concurrency = 1};
    is(load(items, 2), JOBQ_OK);
    is(items[0].verdict, JOBQ_OK);
    is(items[1].verdict, JOBQ_OK);
    for (uint32_t i = 0; i < 4; i++)
        is(put_in(i, "q", "g"), JOBQ_OK);
    for (uint32_t i = 10; i < 14; i++)
        is(put_in(i, "q", "h"), JOBQ_OK);
    is(starts(9), 3);
    of_group->concurrency = 4;
    is(load_one(&items[1]), JOBQ_ALREADY);
    limit_queue("q", JOBQ_SETTING_CONCURRENCY, JOBQ_LIMIT_NONE, 0);
    is(starts(9), 2); /* of h */
}

static void a_schedule(void)
{
    struct jobq_item item = {.kind = JOBQ_ITEM_SCHEDULE};
    item.as.schedule = (struct jobq_schedule_row){.name = text("s"),
                                                  .bytes = text("opaque"),
                                                  .version = 7,
                                                  .fired_ms = 500,
                                                  .next_ms = 600,
                                                  .paused = 1};
    load_ok(item);
    is(load_one(&item), JOBQ_ALREADY);
    struct jobq_schedule_query query = schedules((struct jobq_schedule_query){.limit = 9});
    is(query.row_count, 1);
    bytes_are(query.rows[0].name, text("s"));
    bytes_are(query.rows[0].bytes, text("opaque"));
    is(query.rows[0].version, 7);
    is(query.rows[0].fired_ms, 500);
    is(query.rows[0].next_ms, 600);
    is(query.rows[0].paused, 1);
}

/* ---- out, in, out ------------------------------------------------------------------------------------ */

/* Of every kind; a value of none is one too. */
static void some_limits(void)
{
    limit_queue("q", JOBQ_SETTING_CONCURRENCY, 3, 0);
    limit_queue("q8", JOBQ_SETTING_RATE, 5, 1000);
    limit_queue("q8", JOBQ_SETTING_GROUP_CONCURRENCY, 0, 0);
    limit_group("", JOBQ_SETTING_QUOTA, 100, 60000);
    limit_group("g", JOBQ_SETTING_CONCURRENCY, JOBQ_LIMIT_NONE, 0);
    limit_group("h", JOBQ_SETTING_RATE, 7, 2000);
    give_plan("h", "pro");
    limit_plan("free", JOBQ_SETTING_QUOTA, 1, 100);
    limit_plan("pro", JOBQ_SETTING_CONCURRENCY, 9, 0);
}

static void some_of_everything(void)
{
    static const uint8_t secret[32] = {4, 5};
    struct jobq_put_key key = {.scope = {'a'}, .payload_digest = {'b'}, .hold = JOBQ_HOLD_UNRESOLVED};
    struct jobq_put p = put_of(10);
    p.unique = &key;
    p.key = text("key");
    is(put(&p), JOBQ_OK);
    change_ok(failed(claim_n(10), JOBQ_ROW_DEAD, JOBQ_REASON_ATTEMPTS, "why"));
    make(11, JOBQ_ROW_COMPLETED);
    make(12, JOBQ_ROW_CANCELLED);
    make(13, JOBQ_ROW_BLOCKED);
    const struct jobq_row *parked = make(14, JOBQ_ROW_RUNNING);
    struct jobq_change c = by_token(parked, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_CALLBACK;
    memcpy(c.digest, secret, sizeof secret);
    change_ok(c);
    c = by_token(parked, JOBQ_OUTCOME_PARK, JOBQ_ROW_BLOCKED);
    c.reason = JOBQ_REASON_CALLBACK;
    c.set = JOBQ_SET_DEADLINE;
    c.callback_until = from_now(STEP);
    change_ok(c);
    make(15, JOBQ_ROW_RUNNING);
    p = put_of(16);
    p.run_at = from_now(STEP);
    p.group = text("tenant");
    p.payload = bytes("\0\xff", 2);
    is(put(&p), JOBQ_OK);
    key.hold = JOBQ_HOLD_FOREVER;
    key.scope[0] = 'c';
    p = put_of(17);
    p.unique = &key;
    is(put(&p), JOBQ_OK);
    change_ok(by_operator(id(17), LIVE, JOBQ_ROW_GONE));
    put_ok(18);
    if (store_has(JOBQ_CAP_EDGES)) {
        const struct jobq_parent parents[] = {{.id = id(18), .rule = JOBQ_PARENT_FAIL},
                                              {.id = id(16), .rule = JOBQ_PARENT_IGNORE}};
        put_child(9, parents, 2);
    }
    struct jobq_settings s = {.size = sizeof s,
                              .what = JOBQ_CONFIGURE_QUEUE,
                              .set = JOBQ_SETTING_DEPTH,
                              .name = text("q9"),
                              .depth = 0};
    is(configure(&s), JOBQ_OK);
    if (store_has(JOBQ_CAP_GROUPS))
        some_limits();
}

static void copy_kind(struct actor *from, struct actor *to, int kind)
{
    struct jobq_dump page = {.size = sizeof page, .kind = kind, .limit = 1000};
    dump(from, &page);
    struct jobq_item *items = calloc(page.item_count + 1, sizeof *items);
    ok(items != NULL);
    for (size_t i = 0; i < page.item_count; i++) {
        struct jobq_bytes line; /* by its text, as a copy goes */
        is(jobq_item_write(from->arena, &page.items[i], &line), JOBQ_OK);
        is(jobq_item_read(to->arena, line, &items[i], &to->err), JOBQ_OK);
    }
    if (page.item_count)
        is(store_table()->load(to->store, items, page.item_count, &to->err), JOBQ_OK);
    free(items);
}

/* Dump, load, dump: the same bytes. */
static void there_and_again(void)
{
    char uri[JOBQ_CONFORMANCE_URI + 32];
    snprintf(uri, sizeof uri, "%s%snamespace=other_1", store_uri(), strchr(store_uri(), '?') ? "&" : "?");
    struct jobq_store_options options = {.size = sizeof options, .uri = uri, .io_timeout_ms = 10000};
    struct actor you = {.arena = me->arena, .client = {99, 99}};
    is(store_table()->open(&you.store, &options, &you.err), JOBQ_OK);
    some_of_everything();
    for (int kind = JOBQ_ITEM_SETTINGS; kind <= JOBQ_ITEM_KEY; kind++)
        copy_kind(me, &you, kind);
    for (int kind = JOBQ_ITEM_SETTINGS; kind <= JOBQ_ITEM_KEY; kind++) {
        size_t count;
        char *here = dumped(me, kind, 1000, &count), *there = dumped(&you, kind, 1000, NULL);
        ok(count >= 2 || kind == JOBQ_ITEM_SCHEDULE);
        if (strcmp(here, there) != 0)
            fail_test(__FILE__, __LINE__, "copied\n%s\nto\n%s", here, there);
        free(here);
        free(there);
    }
    store_table()->close(you.store);
}

/* However large the pages are, all of it comes once. */
static void in_pages(void)
{
    some_of_everything();
    for (int kind = JOBQ_ITEM_SETTINGS; kind <= JOBQ_ITEM_KEY; kind++) {
        char *whole = dumped(me, kind, 1000, NULL);
        for (size_t limit = 1; limit <= 3; limit++) {
            char *paged = dumped(me, kind, limit, NULL);
            is(strcmp(whole, paged), 0);
            free(paged);
        }
        free(whole);
    }
}

static void pages_by_bytes(void)
{
    for (uint32_t i = 1; i <= 3; i++) {
        struct jobq_put p = put_of(i);
        p.payload = text("0123456789");
        is(put(&p), JOBQ_OK);
    }
    struct jobq_dump page = {.size = sizeof page, .kind = JOBQ_ITEM_ROW, .limit = 9, .bytes = 20};
    dump(me, &page);
    is(page.item_count, 2);
    page.bytes = 1;
    dump(me, &page);
    is(page.item_count, 1);
    ids_are(page.items[0].as.row.row.id, id(1));
}

static const struct test tests[] = {
    {.name = "a row with every member", .run = every_member, .needs = JOBQ_CAP_COPY},
    {.name = "a waiting row is claimed when it is due",
     .run = a_waiting_row_is_claimed,
     .needs = JOBQ_CAP_COPY},
    {.name = "equal ranks in the order of loading", .run = arrival_is_anew, .needs = JOBQ_CAP_COPY},
    {.name = "a running row is held under its token (S2)",
     .run = a_running_row_is_held,
     .needs = JOBQ_CAP_COPY},
    {.name = "a running row falls overdue; fences rise above it (S2, L2)",
     .run = a_running_row_falls_overdue,
     .needs = JOBQ_CAP_COPY},
    {.name = "why it was overdue is kept", .run = swept_stays, .needs = JOBQ_CAP_COPY},
    {.name = "a callback comes back here (rule 11)", .run = a_callback_comes_back, .needs = JOBQ_CAP_COPY},
    {.name = "what is there is left as it is", .run = what_is_there_is_left, .needs = JOBQ_CAP_COPY},
    {.name = "a key and its row (rule 9)", .run = a_key_of_a_row_that_is_there, .needs = JOBQ_CAP_COPY},
    {.name = "a row takes no key by itself", .run = a_row_takes_no_key, .needs = JOBQ_CAP_COPY},
    {.name = "a key whose row is gone (rule 9)", .run = a_key_whose_row_is_gone, .needs = JOBQ_CAP_COPY},
    {.name = "a window ends when it was to end (rule 9)", .run = a_window_ends, .needs = JOBQ_CAP_COPY},
    {.name = "children wait for parents, whoever came first (rule 11)",
     .run = children_wait_for_parents,
     .needs = JOBQ_CAP_COPY | JOBQ_CAP_EDGES},
    {.name = "open edges of an ended parent fall overdue",
     .run = open_edges_fall_overdue,
     .needs = JOBQ_CAP_COPY | JOBQ_CAP_EDGES},
    {.name = "closed edges can be opened again",
     .run = closed_edges_open_again,
     .needs = JOBQ_CAP_COPY | JOBQ_CAP_EDGES},
    {.name = "settings and totals of a queue", .run = settings_of_a_queue, .needs = JOBQ_CAP_COPY},
    {.name = "limits hold (rule 10)", .run = limits_hold, .needs = JOBQ_CAP_COPY | JOBQ_CAP_GROUPS},
    {.name = "a schedule with its version", .run = a_schedule, .needs = JOBQ_CAP_COPY | JOBQ_CAP_SCHEDULES},
    {.name = "dump, load, dump: the same bytes",
     .run = there_and_again,
     .needs = JOBQ_CAP_COPY,
     .flags = PLAIN_ONLY},
    {.name = "pages of any size", .run = in_pages, .needs = JOBQ_CAP_COPY},
    {.name = "pages by bytes", .run = pages_by_bytes, .needs = JOBQ_CAP_COPY},
};
const struct topic topic_copy = TOPIC("copy", tests);
