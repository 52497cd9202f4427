/* SPDX-License-Identifier: MIT */
/* Items in as they are: all of them in one transaction, one call for those of a kind. What is done with them stands in
 * functions/copy.sql. An item of a kind that comes first here may come later in the array: none hangs on the order. */
#include "store.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 5

enum group { QUEUES, BOUNDS, SCHEDULES, ROWS, KEYS, GROUPS };

static enum group group_of(const struct jobq_item *item)
{
    switch (item->kind) {
    case JOBQ_ITEM_SETTINGS:
        return item->as.settings.settings.what == JOBQ_CONFIGURE_QUEUE ? QUEUES : BOUNDS;
    case JOBQ_ITEM_SCHEDULE:
        return SCHEDULES;
    case JOBQ_ITEM_ROW:
        return ROWS;
    default:
        return KEYS;
    }
}

/* Those of one group. */
struct batch {
    struct jobq_item **items;
    size_t count;
    struct params params;
};

struct load {
    struct batch batches[GROUPS];
    struct transaction t;
    enum group called[CALLS_MAX]; /* by the calls of the transaction */
};

/* ---- columns -------------------------------------------------------------------------------------------------------- */

/* A member of all of them, `at` bytes into the item. */
static void pack_bytes_at(struct batch *b, size_t at)
{
    pack_begin(&b->params, ELEMENT_BYTES);
    for (size_t i = 0; i < b->count; i++)
        pack_add_bytes(&b->params, *(const struct jobq_bytes *)(const void *)((const char *)b->items[i] + at));
    pack_end(&b->params);
}

static void pack_ids_at(struct batch *b, size_t at)
{
    pack_begin(&b->params, ELEMENT_ID);
    for (size_t i = 0; i < b->count; i++)
        pack_add_id(&b->params, (const char *)b->items[i] + at);
    pack_end(&b->params);
}

/* 32 bytes there, or none: the byte `given` bytes into the item says so. given 0: always. */
static void pack_digests_at(struct batch *b, size_t at, size_t given)
{
    pack_begin(&b->params, ELEMENT_BYTES);
    for (size_t i = 0; i < b->count; i++) {
        const char *item = (const char *)b->items[i];
        bool has = !given || item[given];
        pack_add_bytes(&b->params, has ? (struct jobq_bytes){ item + at, 32 } : (struct jobq_bytes){ 0 });
    }
    pack_end(&b->params);
}

static void pack_numbers(struct batch *b, const int64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pack_add_int8(&b->params, numbers[i]);
}

/* ---- queues, schedules, keys ------------------------------------------------------------------------------------------ */

static int64_t limit_of(const struct jobq_settings *s, uint32_t bit, int64_t value, int64_t none)
{
    return s->set & bit ? value : none;
}

static void pack_queues(struct batch *b)
{
    pack_bytes_at(b, offsetof(struct jobq_item, as.settings.settings.name));
    pack_begin(&b->params, ELEMENT_INT8);
    for (size_t i = 0; i < b->count; i++) {
        const struct jobq_item_settings *in = &b->items[i]->as.settings;
        const struct jobq_settings *s = &in->settings;
        const int64_t numbers[] = { s->set & JOBQ_SETTING_PAUSED && s->paused, limit_of(s, JOBQ_SETTING_DEPTH, s->depth, -1),
                                    (s->set & JOBQ_SETTING_KEEP) != 0, (int64_t)in->enqueued_total,
                                    (int64_t)in->completed_total, (int64_t)in->dead_total, (int64_t)in->cancelled_total,
                                    (int64_t)in->failed_total, (int64_t)in->completed_trimmed, (int64_t)in->dead_trimmed,
                                    (int64_t)in->cancelled_trimmed, limit_of(s, JOBQ_SETTING_CONCURRENCY, s->concurrency, -1),
                                    limit_of(s, JOBQ_SETTING_GROUP_CONCURRENCY, s->group_concurrency, -1),
                                    limit_of(s, JOBQ_SETTING_RATE, s->rate, -1), s->rate_period_ms };
        pack_numbers(b, numbers, sizeof numbers / sizeof *numbers);
        pack_numbers(b, s->keep_count, 8);
        pack_numbers(b, s->keep_ms, 8);
    }
    pack_end(&b->params);
}

static void pack_bounds(struct batch *b)
{
    const struct jobq_bytes every = { "", 0 };
    pack_begin(&b->params, ELEMENT_BYTES);
    for (size_t i = 0; i < b->count; i++) {
        const struct jobq_settings *s = &b->items[i]->as.settings.settings;
        struct jobq_bytes name = s->what == JOBQ_CONFIGURE_GROUP ? s->group : s->name;
        pack_add_bytes(&b->params, name.data ? name : every);
    }
    pack_end(&b->params);
    pack_bytes_at(b, offsetof(struct jobq_item, as.settings.settings.plan));
    pack_begin(&b->params, ELEMENT_INT8);
    for (size_t i = 0; i < b->count; i++) {
        const struct jobq_settings *s = &b->items[i]->as.settings.settings;
        const int64_t numbers[] = { s->what == JOBQ_CONFIGURE_GROUP ? OF_GROUP : OF_PLAN,
                                    limit_of(s, JOBQ_SETTING_CONCURRENCY, s->concurrency, JOBQ_LIMIT_UNSET),
                                    limit_of(s, JOBQ_SETTING_RATE, s->rate, JOBQ_LIMIT_UNSET), s->rate_period_ms,
                                    limit_of(s, JOBQ_SETTING_QUOTA, s->quota, JOBQ_LIMIT_UNSET), s->quota_period_ms };
        pack_numbers(b, numbers, sizeof numbers / sizeof *numbers);
    }
    pack_end(&b->params);
}

static void pack_schedules(struct batch *b)
{
    pack_bytes_at(b, offsetof(struct jobq_item, as.schedule.name));
    pack_bytes_at(b, offsetof(struct jobq_item, as.schedule.bytes));
    pack_begin(&b->params, ELEMENT_INT8);
    for (size_t i = 0; i < b->count; i++) {
        const struct jobq_schedule_row *row = &b->items[i]->as.schedule;
        const int64_t numbers[] = { row->version, row->fired_ms, row->next_ms, row->paused != 0 };
        pack_numbers(b, numbers, 4);
    }
    pack_end(&b->params);
}

static void pack_keys(struct batch *b)
{
    pack_digests_at(b, offsetof(struct jobq_item, as.key.key.scope), 0);
    pack_ids_at(b, offsetof(struct jobq_item, as.key.job));
    pack_digests_at(b, offsetof(struct jobq_item, as.key.key.payload_digest), 0);
    pack_begin(&b->params, ELEMENT_INT8);
    for (size_t i = 0; i < b->count; i++) {
        const struct jobq_item_key *in = &b->items[i]->as.key;
        const int64_t numbers[] = { in->key.hold, in->window_until_ms, in->ended };
        pack_numbers(b, numbers, 3);
    }
    pack_end(&b->params);
}

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

/* Errors, then lines of log. */
static size_t entries_of(const struct jobq_row *r)
{
    return r->error_count + r->log_count;
}

static const struct jobq_row_error *entry_of(const struct jobq_row *r, size_t k)
{
    return k < r->error_count ? &r->errors[k] : &r->log[k - r->error_count];
}

static int64_t flags_of(const struct jobq_item_row *in)
{
    const struct jobq_row *r = &in->row;
    const bool bits[] = { r->held, r->alone, r->ran_alone, r->resumed, r->cancel_asked, in->digest_used,
                          in->edge_count > 0, in->swept == JOBQ_OVERDUE_LEASE, in->swept == JOBQ_OVERDUE_TIMEOUT,
                          r->log_count > 0 };
    int64_t flags = 0;
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        flags |= (int64_t)bits[i] << i;
    return flags;
}

static void pack_row_numbers(struct batch *b, const struct jobq_item_row *in, int64_t entries, int64_t edges)
{
    const struct jobq_row *r = &in->row;
    const int64_t numbers[] = {
        r->state, r->reason, r->outcome, r->priority, r->rank_add_ms, r->attempt, r->failures, r->crashes, r->snoozes,
        r->releases, r->redrives, r->edits, flags_of(in), r->due, r->pending, r->created_at_ms, r->run_at_ms,
        r->started_at_ms, r->finished_at_ms, r->lease_until_ms, r->stop_at_ms, r->expires_at_ms, r->callback_until_ms,
        r->timeout_ms, in->key.hold, in->window_until_ms, r->fence, entries, (int64_t)r->error_count, edges,
        (int64_t)in->edge_count, (int64_t)r->log_count,
    };
    pack_numbers(b, numbers, sizeof numbers / sizeof *numbers);
}

static void pack_all_row_numbers(struct batch *b)
{
    int64_t entries = 0, edges = 0;
    pack_begin(&b->params, ELEMENT_INT8);
    for (size_t i = 0; i < b->count; i++) {
        const struct jobq_item_row *in = &b->items[i]->as.row;
        pack_row_numbers(b, in, entries, edges);
        entries += (int64_t)entries_of(&in->row);
        edges += (int64_t)in->edge_count;
    }
    pack_end(&b->params);
}

static void pack_entry_numbers(struct batch *b)
{
    pack_begin(&b->params, ELEMENT_INT8);
    for (size_t i = 0; i < b->count; i++)
        for (size_t k = 0; k < entries_of(&b->items[i]->as.row.row); k++) {
            const struct jobq_row_error *e = entry_of(&b->items[i]->as.row.row, k);
            const int64_t numbers[] = { e->attempt, e->kind, e->at_ms };
            pack_numbers(b, numbers, 3);
        }
    pack_end(&b->params);
}

static void pack_entry_bytes(struct batch *b, size_t member)
{
    pack_begin(&b->params, ELEMENT_BYTES);
    for (size_t i = 0; i < b->count; i++)
        for (size_t k = 0; k < entries_of(&b->items[i]->as.row.row); k++)
            pack_add_bytes(&b->params, *(const struct jobq_bytes *)(const void *)
                                           ((const char *)entry_of(&b->items[i]->as.row.row, k) + member));
    pack_end(&b->params);
}

static void pack_edges(struct batch *b)
{
    pack_begin(&b->params, ELEMENT_ID);
    for (size_t i = 0; i < b->count; i++)
        for (size_t k = 0; k < b->items[i]->as.row.edge_count; k++)
            pack_add_id(&b->params, b->items[i]->as.row.edges[k].parent.bytes);
    pack_end(&b->params);
    pack_begin(&b->params, ELEMENT_INT8);
    for (size_t i = 0; i < b->count; i++)
        for (size_t k = 0; k < b->items[i]->as.row.edge_count; k++) {
            const struct jobq_item_edge *e = &b->items[i]->as.row.edges[k];
            const int64_t numbers[] = { e->rule, e->open != 0 };
            pack_numbers(b, numbers, 2);
        }
    pack_end(&b->params);
}

static void pack_rows(struct batch *b)
{
    static const size_t columns[] = {
        offsetof(struct jobq_row, queue),   offsetof(struct jobq_row, kind),   offsetof(struct jobq_row, group),
        offsetof(struct jobq_row, worker),  offsetof(struct jobq_row, payload), offsetof(struct jobq_row, policy),
        offsetof(struct jobq_row, key),     offsetof(struct jobq_row, result), offsetof(struct jobq_row, progress),
        offsetof(struct jobq_row, data),    offsetof(struct jobq_row, trace),
    };
    pack_ids_at(b, offsetof(struct jobq_item, as.row.row.id));
    pack_ids_at(b, offsetof(struct jobq_item, as.row.row.token));
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        pack_bytes_at(b, offsetof(struct jobq_item, as.row.row) + columns[i]);
    pack_digests_at(b, offsetof(struct jobq_item, as.row.digest), offsetof(struct jobq_item, as.row.has_digest));
    pack_digests_at(b, offsetof(struct jobq_item, as.row.key.scope), offsetof(struct jobq_item, as.row.has_key));
    pack_digests_at(b, offsetof(struct jobq_item, as.row.key.payload_digest), offsetof(struct jobq_item, as.row.has_key));
    pack_all_row_numbers(b);
    pack_entry_numbers(b);
    pack_entry_bytes(b, offsetof(struct jobq_row_error, worker));
    pack_entry_bytes(b, offsetof(struct jobq_row_error, text));
    pack_edges(b);
}

/* ---- the load ------------------------------------------------------------------------------------------------------------ */

static const struct {
    enum sql sql;
    void (*pack)(struct batch *b);
} makers[GROUPS] = {
    [QUEUES] = { SQL_LOAD_QUEUES, pack_queues },
    [BOUNDS] = { SQL_LOAD_BOUNDS, pack_bounds },
    [SCHEDULES] = { SQL_LOAD_SCHEDULES, pack_schedules },
    [ROWS] = { SQL_LOAD_ROWS, pack_rows },
    [KEYS] = { SQL_LOAD_KEYS, pack_keys },
};

static int sort_out(struct load *l, struct jobq_item *items, size_t count)
{
    for (int i = 0; i < GROUPS; i++)
        if (!(l->batches[i].items = malloc((count + 1) * sizeof(struct jobq_item *))))
            return -1;
    for (size_t i = 0; i < count; i++) {
        struct batch *b = &l->batches[group_of(&items[i])];
        b->items[b->count++] = &items[i];
    }
    return 0;
}

static void prepare(struct load *l, struct jobq_store *s)
{
    for (enum group g = 0; g < GROUPS; g++) {
        struct batch *b = &l->batches[g];
        if (!b->count)
            continue;
        makers[g].pack(b);
        l->called[l->t.count] = g;
        l->t.calls[l->t.count++] = (struct call){ .text = s->sql[makers[g].sql], .params = &b->params };
    }
}

/* A verdict for each. */
static int take_verdicts(const PGresult *result, const struct batch *b)
{
    struct elements e = cell_elements(cell_of(result, 0, 0));
    struct cell verdict;
    for (size_t i = 0; i < b->count; i++) {
        if (!elements_next(&e, &verdict))
            return -1;
        b->items[i]->verdict = cell_int(verdict) ? JOBQ_ALREADY : JOBQ_OK;
    }
    return 0;
}

static int run(struct load *l, struct jobq_store *s, struct jobq_error *err)
{
    for (int turn = 0;; turn++) {
        l->t.ms = s->io_timeout_ms;
        if (pq_link_run(&s->link, &l->t, 1) == 0)
            break;
        if (!pq_fault_again(&l->t.fault) || turn == TRIES || !s->link.conn)
            return pq_fault_report(s, &l->t.fault, err, l->t.fault.kind == FAULT_LOST ? JOBQ_UNKNOWN : JOBQ_FAILED);
        pq_transaction_clear(&l->t);
        pq_pause(turn);
    }
    for (int i = 0; i < l->t.count; i++)
        if (take_verdicts(l->t.calls[i].result, &l->batches[l->called[i]]) != 0)
            return jobq_error_set(err, JOBQ_UNKNOWN, NULL, "postgres: the answer has not as many verdicts as items");
    return JOBQ_OK;
}

int pq_load(struct jobq_store *s, struct jobq_item *items, size_t count, struct jobq_error *err)
{
    struct load l = { 0 };
    struct fault fault = { 0 };
    int status;
    if (s->inspect)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: opened to inspect: nothing can be written");
    pq_store_begin(s);
    if (sort_out(&l, items, count) != 0) {
        status = jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: out of memory");
    } else if (pq_store_connect(s, &fault) != 0) {
        status = pq_fault_report(s, &fault, err, JOBQ_FAILED);
    } else {
        prepare(&l, s);
        status = run(&l, s, err);
    }
    pq_transaction_clear(&l.t);
    for (int i = 0; i < GROUPS; i++) {
        pack_free(&l.batches[i].params);
        free(l.batches[i].items);
    }
    return status;
}
