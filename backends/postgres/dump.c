/* SPDX-License-Identifier: MIT */
/* Everything that is stored, as it is, a page at a time. What is asked stands in functions/copy.sql. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* A page as it grows. */
struct page {
    struct jobq_store *s;
    struct jobq_dump *dump;
    struct jobq_arena *arena;
    struct jobq_item *items;
    size_t count;
};

/* One question and its answer, to be cleared; a status. */
static int ask(struct page *p, enum sql which, struct params *params, struct transaction *t, struct jobq_error *err)
{
    struct fault fault = { 0 };
    *t = (struct transaction){ .reads = true, .ms = p->s->io_timeout_ms, .count = 1,
                               .calls[0] = { .text = p->s->sql[which], .params = params } };
    int result = pq_store_connect(p->s, &fault) == 0 ? pq_link_run(&p->s->link, t, 1) : -1;
    pack_free(params);
    if (result == 0)
        return JOBQ_OK;
    int status = pq_fault_report(p->s, fault.kind ? &fault : &t->fault, err, JOBQ_FAILED);
    pq_transaction_clear(t);
    return status;
}

static int copy(struct page *p, struct cell cell, struct jobq_bytes *out)
{
    struct jobq_bytes from = cell_bytes(cell);
    return jobq_arena_bytes(p->arena, from.data, from.size, out);
}

static struct jobq_item *next_item(struct page *p)
{
    struct jobq_item *item = &p->items[p->count++];
    memset(item, 0, sizeof *item);
    item->kind = p->dump->kind;
    return item;
}

static int64_t at_most(size_t number)
{
    return number < INT64_MAX ? (int64_t)number : INT64_MAX;
}

/* ---- settings --------------------------------------------------------------------------------------------------- */

enum { QUEUE_NAME, QUEUE_PAUSED, QUEUE_DEPTH, QUEUE_KEEP_COUNT, QUEUE_KEEP_MS, QUEUE_TOTALS, QUEUE_CONCURRENCY = 13,
       QUEUE_GROUP_CONCURRENCY, QUEUE_RATE, QUEUE_RATE_MS };

static void give_keep(struct cell cell, unsigned which, int64_t values[8])
{
    struct elements e = cell_elements(cell);
    struct cell value;
    for (int state = 0; state < 8 && elements_next(&e, &value); state++)
        if (JOBQ_ROW_BIT(state) & which)
            values[state] = cell_int(value);
}

/* What has a value says so by its bit. */
static void give_limit(struct jobq_settings *s, struct cell cell, uint32_t bit, int64_t *out)
{
    s->set |= cell.size < 0 ? 0 : bit;
    *out = cell_int(cell);
}

static int give_queue(struct page *p, const PGresult *r, int row)
{
    struct jobq_item_settings *out = &next_item(p)->as.settings;
    struct jobq_settings *s = &out->settings;
    struct cell keep = cell_of(r, row, QUEUE_KEEP_COUNT);
    s->size = sizeof *s;
    s->what = JOBQ_CONFIGURE_QUEUE;
    s->paused = cell_bool(cell_of(r, row, QUEUE_PAUSED));
    s->set = (s->paused ? JOBQ_SETTING_PAUSED : 0) | (keep.size < 0 ? 0 : JOBQ_SETTING_KEEP);
    give_limit(s, cell_of(r, row, QUEUE_DEPTH), JOBQ_SETTING_DEPTH, &s->depth);
    give_limit(s, cell_of(r, row, QUEUE_CONCURRENCY), JOBQ_SETTING_CONCURRENCY, &s->concurrency);
    give_limit(s, cell_of(r, row, QUEUE_GROUP_CONCURRENCY), JOBQ_SETTING_GROUP_CONCURRENCY, &s->group_concurrency);
    give_limit(s, cell_of(r, row, QUEUE_RATE), JOBQ_SETTING_RATE, &s->rate);
    s->rate_period_ms = cell_int(cell_of(r, row, QUEUE_RATE_MS));
    give_keep(keep, JOBQ_ROW_ENDED, s->keep_count);
    give_keep(cell_of(r, row, QUEUE_KEEP_MS), JOBQ_ROW_ENDED | JOBQ_ROW_BIT(JOBQ_KEEP_RESULTS), s->keep_ms);
    uint64_t *const totals[] = { &out->enqueued_total, &out->completed_total, &out->dead_total, &out->cancelled_total,
                                 &out->failed_total, &out->completed_trimmed, &out->dead_trimmed,
                                 &out->cancelled_trimmed };
    for (int i = 0; i < 8; i++)
        *totals[i] = (uint64_t)cell_int(cell_of(r, row, QUEUE_TOTALS + i));
    return copy(p, cell_of(r, row, QUEUE_NAME), &s->name);
}

enum { BOUND_NAME, BOUND_PLAN, BOUND_CONCURRENCY, BOUND_RATE, BOUND_RATE_MS, BOUND_QUOTA, BOUND_QUOTA_MS };

static int give_bound(struct page *p, const PGresult *r, int row, int of)
{
    struct jobq_settings *s = &next_item(p)->as.settings.settings;
    struct cell plan = cell_of(r, row, BOUND_PLAN), name = cell_of(r, row, BOUND_NAME);
    s->size = sizeof *s;
    s->what = of == OF_GROUP ? JOBQ_CONFIGURE_GROUP : JOBQ_CONFIGURE_PLAN;
    s->set = plan.size < 0 ? 0 : JOBQ_SETTING_PLAN;
    give_limit(s, cell_of(r, row, BOUND_CONCURRENCY), JOBQ_SETTING_CONCURRENCY, &s->concurrency);
    give_limit(s, cell_of(r, row, BOUND_RATE), JOBQ_SETTING_RATE, &s->rate);
    give_limit(s, cell_of(r, row, BOUND_QUOTA), JOBQ_SETTING_QUOTA, &s->quota);
    s->rate_period_ms = cell_int(cell_of(r, row, BOUND_RATE_MS));
    s->quota_period_ms = cell_int(cell_of(r, row, BOUND_QUOTA_MS));
    if (copy(p, plan, &s->plan) != 0)
        return -1;
    if (of == OF_PLAN)
        return copy(p, name, &s->name);
    return name.size ? copy(p, name, &s->group) : 0; /* of every group: absent */
}

/* Settings are given by what they are of: queues, groups, plans; the place begins with one of these letters. */
static const char parts[] = "qrs";

/* Where this part goes on, absent from its beginning; false when it was passed before. */
static bool goes_on(const struct page *p, char of, struct jobq_bytes *name)
{
    const char *after = p->dump->after.data;
    *name = (struct jobq_bytes){ 0 };
    if (!after || !p->dump->after.size || after[0] < of)
        return true;
    *name = (struct jobq_bytes){ after + 1, p->dump->after.size - 1 };
    return after[0] == of;
}

static int note_place(struct page *p, char of, struct cell name)
{
    char *at = jobq_arena_alloc(p->arena, (size_t)name.size + 1);
    if (!at)
        return -1;
    at[0] = of;
    memcpy(at + 1, name.data, (size_t)name.size);
    p->dump->last = (struct jobq_bytes){ at, (size_t)name.size + 1 };
    return 0;
}

static int give_part(struct page *p, int part, struct jobq_bytes after, struct jobq_error *err)
{
    struct params params = { 0 };
    struct transaction t;
    int of = part == 1 ? OF_GROUP : OF_PLAN;
    if (part)
        pack_int4(&params, of);
    pack_bytes(&params, after);
    pack_int8(&params, at_most(p->dump->limit - p->count));
    int status = ask(p, part ? SQL_DUMP_BOUNDS : SQL_DUMP_QUEUES, &params, &t, err);
    const PGresult *r = t.calls[0].result;
    for (int i = 0; status == JOBQ_OK && i < PQntuples(r); i++)
        if ((part ? give_bound(p, r, i, of) : give_queue(p, r, i)) != 0 ||
            note_place(p, parts[part], cell_of(r, i, QUEUE_NAME)) != 0)
            status = JOBQ_NOMEM;
    pq_transaction_clear(&t);
    return status;
}

static int give_settings(struct page *p, struct jobq_error *err)
{
    struct jobq_bytes after;
    int status = JOBQ_OK;
    for (int part = 0; parts[part] && status == JOBQ_OK && p->count < p->dump->limit; part++)
        if (goes_on(p, parts[part], &after))
            status = give_part(p, part, after, err);
    return status;
}

/* ---- schedules ----------------------------------------------------------------------------------------------------- */

static int give_schedules(struct page *p, struct jobq_error *err)
{
    struct jobq_schedule_query query = { .size = sizeof query, .after = p->dump->after, .limit = p->dump->limit,
                                         .bytes = p->dump->bytes };
    int status = pq_schedules_read(p->s, &query, p->arena, err);
    for (size_t i = 0; status == JOBQ_OK && i < query.row_count; i++) {
        next_item(p)->as.schedule = query.rows[i];
        p->dump->last = query.rows[i].name;
    }
    return status;
}

/* ---- rows ----------------------------------------------------------------------------------------------------------- */

/* No index has the order of arrival, because each would cost every job that is never copied. So it is found for many rows
 * at once, and their pages are made of that. */
#define ARRIVALS_AT_ONCE 32768

void pq_arrivals_free(struct arrivals *a)
{
    free(a->n);
    free(a->ids);
    *a = (struct arrivals){ 0 };
}

static int take_arrivals(struct arrivals *a, const PGresult *r)
{
    size_t count = (size_t)PQntuples(r);
    a->n = malloc((count + 1) * sizeof *a->n);
    a->ids = malloc((count + 1) * sizeof *a->ids);
    if (!a->n || !a->ids)
        return -1;
    for (; a->count < count; a->count++) {
        a->n[a->count] = cell_int(cell_of(r, (int)a->count, 0));
        cell_copy(cell_of(r, (int)a->count, 1), a->ids[a->count].bytes, sizeof a->ids->bytes);
    }
    return 0;
}

/* So that what comes after `n` is at a->at; nothing there: the end. */
static int find_arrivals(struct page *p, int64_t n, struct jobq_error *err)
{
    struct arrivals *a = &p->s->arrivals;
    struct params params = { 0 };
    struct transaction t;
    if (n && a->after == n && a->at < a->count)
        return JOBQ_OK;
    pq_arrivals_free(a);
    pack_int8(&params, n);
    pack_int8(&params, ARRIVALS_AT_ONCE);
    int status = ask(p, SQL_DUMP_ORDER, &params, &t, err);
    if (status == JOBQ_OK && take_arrivals(a, t.calls[0].result) != 0)
        status = JOBQ_NOMEM;
    pq_transaction_clear(&t);
    return status;
}

enum { ROW_N, ROW_VIEW, ROW_SCOPE, ROW_DIGEST, ROW_HOLD, ROW_UNTIL, ROW_CALLBACK, ROW_FLAGS, ROW_PARENTS, ROW_RULES, ROW_OPENS };
enum { FLAG_USED = 32, FLAG_SWEPT_LEASE = 128, FLAG_SWEPT_TIMEOUT = 256 };

static int give_edges(struct page *p, const PGresult *r, int row, struct jobq_item_row *out)
{
    struct elements parents = cell_elements(cell_of(r, row, ROW_PARENTS)), rules = cell_elements(cell_of(r, row, ROW_RULES));
    struct elements opens = cell_elements(cell_of(r, row, ROW_OPENS));
    struct cell parent, rule, open;
    if (!parents.left)
        return 0;
    struct jobq_item_edge *edges = jobq_arena_alloc(p->arena, (size_t)parents.left * sizeof *edges);
    if (!edges)
        return -1;
    while (elements_next(&parents, &parent) && elements_next(&rules, &rule) && elements_next(&opens, &open)) {
        struct jobq_item_edge *edge = &edges[out->edge_count++];
        *edge = (struct jobq_item_edge){ .rule = (int32_t)cell_int(rule), .open = (int32_t)cell_int(open) };
        cell_copy(parent, edge->parent.bytes, sizeof edge->parent.bytes);
    }
    out->edges = edges;
    return 0;
}

static int give_row(struct page *p, const PGresult *r, int row)
{
    struct jobq_item_row *out = &next_item(p)->as.row;
    int64_t flags = cell_int(cell_of(r, row, ROW_FLAGS)), n = cell_int(cell_of(r, row, ROW_N));
    struct cell callback = cell_of(r, row, ROW_CALLBACK);
    out->has_key = cell_of(r, row, ROW_SCOPE).size >= 0;
    cell_copy(cell_of(r, row, ROW_SCOPE), out->key.scope, sizeof out->key.scope);
    cell_copy(cell_of(r, row, ROW_DIGEST), out->key.payload_digest, sizeof out->key.payload_digest);
    out->key.hold = (int32_t)cell_int(cell_of(r, row, ROW_HOLD));
    out->window_until_ms = cell_int(cell_of(r, row, ROW_UNTIL));
    out->has_digest = callback.size >= 0;
    out->digest_used = (flags & FLAG_USED) != 0;
    cell_copy(callback, out->digest, sizeof out->digest);
    out->swept = flags & FLAG_SWEPT_LEASE     ? JOBQ_OVERDUE_LEASE
                 : flags & FLAG_SWEPT_TIMEOUT ? JOBQ_OVERDUE_TIMEOUT
                                              : JOBQ_OVERDUE_NONE;
    if (view_row(p->arena, cell_of(r, row, ROW_VIEW), &out->row) != 0 || give_edges(p, r, row, out) != 0)
        return -1;
    return jobq_arena_bytes(p->arena, &n, sizeof n, &p->dump->last);
}

/* Of the rows that are next; those that are gone meanwhile are passed by. */
static int give_some_rows(struct page *p, struct jobq_error *err)
{
    struct arrivals *a = &p->s->arrivals;
    struct params params = { 0 };
    struct transaction t;
    size_t count = a->count - a->at < p->dump->limit ? a->count - a->at : p->dump->limit;
    pack_begin(&params, ELEMENT_ID);
    for (size_t i = 0; i < count; i++)
        pack_add_id(&params, a->ids[a->at + i].bytes);
    pack_end(&params);
    pack_int8(&params, at_most(p->dump->bytes));
    int status = ask(p, SQL_DUMP_ROWS, &params, &t, err);
    int given = status == JOBQ_OK ? PQntuples(t.calls[0].result) : 0;
    for (int i = 0; i < given && status == JOBQ_OK; i++)
        if (give_row(p, t.calls[0].result, i) != 0)
            status = JOBQ_NOMEM;
    /* What was given last is the place, wherever the rest of the page was cut off. */
    int64_t last = given ? cell_int(cell_of(t.calls[0].result, given - 1, ROW_N)) : a->n[a->at + count - 1];
    while (a->at < a->count && a->n[a->at] <= last)
        a->at++;
    a->after = last;
    pq_transaction_clear(&t);
    return status;
}

static int give_rows(struct page *p, struct jobq_error *err)
{
    const struct jobq_bytes after = p->dump->after;
    int64_t n = 0;
    int status;
    if (after.size == sizeof n)
        memcpy(&n, after.data, sizeof n);
    do {
        status = find_arrivals(p, n, err);
        if (status != JOBQ_OK || p->s->arrivals.at == p->s->arrivals.count)
            return status;
        status = give_some_rows(p, err);
        n = p->s->arrivals.after;
    } while (status == JOBQ_OK && !p->count);
    return status;
}

/* ---- keys ------------------------------------------------------------------------------------------------------------ */

enum { KEY_SCOPE, KEY_JOB, KEY_HOLD, KEY_UNTIL, KEY_DIGEST, KEY_ENDED };

static void give_key(struct page *p, const PGresult *r, int row)
{
    struct jobq_item_key *out = &next_item(p)->as.key;
    cell_copy(cell_of(r, row, KEY_SCOPE), out->key.scope, sizeof out->key.scope);
    cell_copy(cell_of(r, row, KEY_DIGEST), out->key.payload_digest, sizeof out->key.payload_digest);
    cell_copy(cell_of(r, row, KEY_JOB), out->job.bytes, sizeof out->job.bytes);
    out->key.hold = (int32_t)cell_int(cell_of(r, row, KEY_HOLD));
    out->window_until_ms = cell_int(cell_of(r, row, KEY_UNTIL));
    out->ended = (int32_t)cell_int(cell_of(r, row, KEY_ENDED));
    p->dump->last = (struct jobq_bytes){ out->key.scope, sizeof out->key.scope };
}

static int give_keys(struct page *p, struct jobq_error *err)
{
    struct params params = { 0 };
    struct transaction t;
    pack_bytes(&params, p->dump->after);
    pack_int8(&params, at_most(p->dump->limit));
    int status = ask(p, SQL_DUMP_KEYS, &params, &t, err);
    for (int i = 0; status == JOBQ_OK && i < PQntuples(t.calls[0].result); i++)
        give_key(p, t.calls[0].result, i);
    pq_transaction_clear(&t);
    return status;
}

/* ---- a page ----------------------------------------------------------------------------------------------------------- */

static int give(struct page *p, struct jobq_error *err)
{
    switch (p->dump->kind) {
    case JOBQ_ITEM_SETTINGS:
        return give_settings(p, err);
    case JOBQ_ITEM_SCHEDULE:
        return give_schedules(p, err);
    case JOBQ_ITEM_ROW:
        return give_rows(p, err);
    case JOBQ_ITEM_KEY:
        return give_keys(p, err);
    default:
        return JOBQ_OK;
    }
}

int pq_dump(struct jobq_store *s, struct jobq_dump *dump, struct jobq_arena *arena, struct jobq_error *err)
{
    struct page p = { .s = s, .dump = dump, .arena = arena };
    dump->items = p.items = jobq_arena_alloc(arena, dump->limit * sizeof *p.items);
    dump->item_count = 0;
    dump->last = (struct jobq_bytes){ 0 };
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL,
                              "postgres: the store has version %d of the schema, this library reads %d", s->version,
                              SCHEMA_VERSION);
    pq_store_begin(s);
    int status = p.items ? give(&p, err) : JOBQ_NOMEM;
    if (status == JOBQ_NOMEM)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: no memory for a page, or no page");
    dump->item_count = status == JOBQ_OK ? p.count : 0;
    return status;
}
