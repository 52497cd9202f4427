/* SPDX-License-Identifier: MIT */
/* Everything that is stored, as it is: pages of it out, items of it in. */
#include "memory.h"

#include <string.h>

/* ---- out --------------------------------------------------------------------------------------------- */

/* A page as it grows. */
struct page {
    struct mem *m;
    struct jobq_dump *dump;
    struct jobq_arena *arena;
    struct jobq_item *items;
    size_t count, bytes;
    int64_t now;
};

static int copy(struct page *p, struct jobq_bytes from, struct jobq_bytes *to)
{
    return jobq_arena_bytes(p->arena, from.data, from.size, to);
}

/* The next place on the page; what was there last is where the next page goes on. */
static struct jobq_item *next_item(struct page *p, const void *at, size_t at_bytes)
{
    struct jobq_item *item = &p->items[p->count];
    if (copy(p, (struct jobq_bytes){at, at_bytes}, &p->dump->last) != 0)
        return NULL;
    memset(item, 0, sizeof *item);
    item->kind = p->dump->kind;
    p->count++;
    return item;
}

/* Settings are given by what they are of: queues, groups, plans. */
static struct jobq_item *next_settings(struct page *p, char of, struct jobq_bytes name)
{
    char *at = jobq_arena_alloc(p->arena, name.size + 1);
    if (!at)
        return NULL;
    at[0] = of;
    if (name.size)
        memcpy(at + 1, name.data, name.size);
    return next_item(p, at, name.size + 1);
}

/* Where this part of the settings goes on: absent from its beginning; false when it was passed before. */
static bool goes_on(const struct page *p, char of, struct jobq_bytes *name)
{
    const char *after = p->dump->after.data;
    *name = (struct jobq_bytes){0};
    if (!after || after[0] < of || p->dump->after.size == 0)
        return true;
    *name = (struct jobq_bytes){after + 1, p->dump->after.size - 1};
    return after[0] == of;
}

static void give_limit(struct jobq_settings *s, uint32_t bit, int64_t value, int64_t *out)
{
    if (value < JOBQ_LIMIT_NONE || (value < 0 && s->what == JOBQ_CONFIGURE_QUEUE))
        return;
    s->set |= bit;
    *out = value;
}

static int give_queue(struct page *p, const struct mem_queue *queue)
{
    const struct mem_queue_cells *c = &queue->c;
    struct jobq_item *item = next_settings(p, 'q', queue->name);
    if (!item)
        return -1;
    struct jobq_settings *s = &item->as.settings.settings;
    *s = (struct jobq_settings){.size = sizeof *s, .what = JOBQ_CONFIGURE_QUEUE, .paused = c->paused};
    s->set = c->paused ? JOBQ_SETTING_PAUSED : 0;
    give_limit(s, JOBQ_SETTING_DEPTH, c->depth, &s->depth);
    give_limit(s, JOBQ_SETTING_CONCURRENCY, c->concurrency, &s->concurrency);
    give_limit(s, JOBQ_SETTING_GROUP_CONCURRENCY, c->group_concurrency, &s->group_concurrency);
    give_limit(s, JOBQ_SETTING_RATE, c->rate, &s->rate);
    s->rate_period_ms = c->rate >= 0 ? c->rate_period_ms : 0;
    if (c->has_keep) {
        s->set |= JOBQ_SETTING_KEEP;
        for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++) {
            s->keep_count[state] = c->keep_count[state];
            s->keep_ms[state] = c->keep_ms[state];
        }
        s->keep_ms[JOBQ_KEEP_RESULTS] = c->keep_ms[JOBQ_KEEP_RESULTS];
    }
    item->as.settings.enqueued_total = c->enqueued;
    item->as.settings.completed_total = c->completed;
    item->as.settings.dead_total = c->dead;
    item->as.settings.cancelled_total = c->cancelled;
    item->as.settings.failed_total = c->failed;
    item->as.settings.completed_trimmed = c->trimmed[JOBQ_ROW_COMPLETED];
    item->as.settings.dead_trimmed = c->trimmed[JOBQ_ROW_DEAD];
    item->as.settings.cancelled_trimmed = c->trimmed[JOBQ_ROW_CANCELLED];
    return copy(p, queue->name, &s->name);
}

static int give_group(struct page *p, char of, const struct mem_group *group)
{
    const struct jobq_bounds *own = &group->c.own;
    struct jobq_item *item = next_settings(p, of, group->name);
    if (!item)
        return -1;
    struct jobq_settings *s = &item->as.settings.settings;
    *s = (struct jobq_settings){.size = sizeof *s, .what = of == 'r' ? JOBQ_CONFIGURE_GROUP : JOBQ_CONFIGURE_PLAN};
    give_limit(s, JOBQ_SETTING_CONCURRENCY, own->concurrency, &s->concurrency);
    give_limit(s, JOBQ_SETTING_RATE, own->rate, &s->rate);
    give_limit(s, JOBQ_SETTING_QUOTA, own->quota, &s->quota);
    s->rate_period_ms = own->rate >= 0 ? own->rate_period_ms : 0;
    s->quota_period_ms = own->quota >= 0 ? own->quota_period_ms : 0;
    s->set |= group->c.plan.size ? JOBQ_SETTING_PLAN : 0;
    if (copy(p, group->c.plan, &s->plan) != 0)
        return -1;
    if (of == 's')
        return copy(p, group->name, &s->name);
    return group->name.size ? copy(p, group->name, &s->group) : 0;
}

static bool has_values(const struct mem_group *group)
{
    const struct jobq_bounds *own = &group->c.own;
    return own->concurrency >= JOBQ_LIMIT_NONE || own->rate >= JOBQ_LIMIT_NONE || own->quota >= JOBQ_LIMIT_NONE ||
           group->c.plan.size;
}

static int give_groups(struct page *p, char of, const struct mem_tree *tree)
{
    struct jobq_bytes after;
    if (!goes_on(p, of, &after))
        return 0;
    for (const struct mem_group *g = mem_group_after(tree, after); g && p->count < p->dump->limit;
         g = mem_group_after(tree, g->name))
        if (has_values(g) && give_group(p, of, g) != 0)
            return -1;
    return 0;
}

static int give_queues(struct page *p)
{
    struct jobq_bytes after;
    if (!goes_on(p, 'q', &after))
        return 0;
    for (const struct mem_queue *q = mem_queue_after(p->m, NULL); q; q = mem_queue_after(p->m, q)) {
        if (!q->c.known || (after.data && mem_bytes_order(q->name, after) <= 0))
            continue;
        if (p->count == p->dump->limit)
            return 0;
        if (give_queue(p, q) != 0)
            return -1;
    }
    return 0;
}

static int give_settings(struct page *p)
{
    if (give_queues(p) != 0 || give_groups(p, 'r', &p->m->groups) != 0)
        return -1;
    return give_groups(p, 's', &p->m->plans);
}

static int give_schedules(struct page *p)
{
    struct jobq_schedule_query query = {
        .size = sizeof query, .after = p->dump->after, .limit = p->dump->limit};
    if (mem_read_schedules(p->m, &query, p->arena) != 0)
        return -1;
    for (size_t i = 0; i < query.row_count; i++) {
        struct jobq_item *item = next_item(p, query.rows[i].name.data, query.rows[i].name.size);
        if (!item)
            return -1;
        item->as.schedule = query.rows[i];
    }
    return 0;
}

/* Without what was said to the put alone. */
static void copy_key(const struct jobq_put_key *from, struct jobq_put_key *to)
{
    *to = *from;
    to->conflict = 0;
    to->window_ms = 0;
}

static int give_row(struct page *p, const struct mem_row *row)
{
    const struct mem_row_cells *c = &row->c;
    struct jobq_item *item = next_item(p, &c->arrival, sizeof c->arrival);
    if (!item || mem_view(p->m, p->arena, row, JOBQ_READ_PAYLOAD | JOBQ_READ_RESULT | JOBQ_READ_ERRORS | JOBQ_READ_LOG,
                          &item->as.row.row) != 0)
        return -1;
    struct jobq_item_row *out = &item->as.row;
    copy_key(&c->key, &out->key);
    out->window_until_ms = c->window_until_ms;
    out->has_key = c->has_key;
    out->has_digest = c->has_digest;
    out->digest_used = c->digest_used;
    memcpy(out->digest, c->digest, sizeof out->digest);
    out->swept = c->swept;
    return mem_edges_dump(p->m, p->arena, &c->row.id, &out->edges, &out->edge_count);
}

static size_t bytes_of(const struct jobq_row *r)
{
    return r->payload.size + r->data.size + r->result.size;
}

static int give_rows(struct page *p)
{
    int64_t after = -1;
    if (p->dump->after.data)
        memcpy(&after, p->dump->after.data, sizeof after);
    for (const struct mem_row *row = mem_row_arrived(p->m, after); row; row = mem_row_arrived(p->m, row->c.arrival)) {
        p->bytes += bytes_of(&row->c.row);
        if (p->count == p->dump->limit || (p->count && p->dump->bytes && p->bytes > p->dump->bytes))
            return 0;
        if (give_row(p, row) != 0)
            return -1;
    }
    return 0;
}

static int give_keys(struct page *p)
{
    uint8_t scope[32] = {0};
    if (p->dump->after.data)
        memcpy(scope, p->dump->after.data, sizeof scope);
    for (const struct mem_key *key = mem_key_after(p->m, p->dump->after.data ? scope : NULL); key;
         key = mem_key_after(p->m, key->c.key.scope)) {
        if (!mem_key_held(p->m, key->c.key.scope, p->now))
            continue;
        if (p->count == p->dump->limit)
            return 0;
        struct jobq_item *item = next_item(p, key->c.key.scope, sizeof key->c.key.scope);
        if (!item)
            return -1;
        item->as.key = (struct jobq_item_key){.job = key->c.job,
                                              .window_until_ms = key->c.window_until_ms,
                                              .ended = key->c.ended};
        copy_key(&key->c.key, &item->as.key.key);
    }
    return 0;
}

int mem_dump(struct mem *m, struct jobq_dump *dump, struct jobq_arena *arena, int64_t now)
{
    if (dump->kind == JOBQ_ITEM_WORKER)
        return mem_workers_dump(m, arena, dump);
    struct page p = {.m = m, .dump = dump, .arena = arena, .now = now};
    p.items = jobq_arena_alloc(arena, dump->limit * sizeof *p.items);
    int result = p.items ? 0 : -1;
    dump->last = (struct jobq_bytes){0};
    if (result == 0 && dump->kind == JOBQ_ITEM_SETTINGS)
        result = give_settings(&p);
    else if (result == 0 && dump->kind == JOBQ_ITEM_SCHEDULE)
        result = give_schedules(&p);
    else if (result == 0 && dump->kind == JOBQ_ITEM_ROW)
        result = give_rows(&p);
    else if (result == 0 && dump->kind == JOBQ_ITEM_KEY)
        result = give_keys(&p);
    dump->items = p.items;
    dump->item_count = p.count;
    return result;
}

/* ---- in ---------------------------------------------------------------------------------------------- */

static int take_group(struct mem_unit *u, struct jobq_item *item)
{
    const struct jobq_settings *s = &item->as.settings.settings;
    bool is_group = s->what == JOBQ_CONFIGURE_GROUP;
    const struct jobq_bytes every = {"", 0}, name = is_group ? s->group : s->name;
    const struct mem_group *group =
        mem_group_find(is_group ? &u->m->groups : &u->m->plans, name.data ? name : every);
    if (group && has_values(group)) {
        item->verdict = JOBQ_ALREADY;
        return 0;
    }
    return mem_configure_group(u, s) == JOBQ_OK ? 0 : -1;
}

static int take_settings(struct mem_unit *u, struct jobq_item *item)
{
    const struct jobq_item_settings *in = &item->as.settings;
    const struct jobq_settings *s = &in->settings;
    if (s->what != JOBQ_CONFIGURE_QUEUE)
        return take_group(u, item);
    struct mem_queue *queue = mem_queue_get(u, s->name);
    if (!queue)
        return -1;
    if (queue->c.known) {
        item->verdict = JOBQ_ALREADY;
        return 0;
    }
    if (mem_edit(u, queue) != 0)
        return -1;
    struct mem_queue_cells *c = &queue->c;
    *c = (struct mem_queue_cells){.enqueued = in->enqueued_total,
                                  .completed = in->completed_total,
                                  .dead = in->dead_total,
                                  .cancelled = in->cancelled_total,
                                  .failed = in->failed_total,
                                  .trimmed = {[JOBQ_ROW_COMPLETED] = in->completed_trimmed,
                                              [JOBQ_ROW_DEAD] = in->dead_trimmed,
                                              [JOBQ_ROW_CANCELLED] = in->cancelled_trimmed},
                                  .known = true,
                                  .paused = s->paused != 0,
                                  .depth = -1,
                                  .concurrency = -1,
                                  .group_concurrency = -1,
                                  .rate = -1};
    mem_set_queue_limits(c, s);
    if (s->set & JOBQ_SETTING_KEEP) {
        c->has_keep = true;
        memcpy(c->keep_count, s->keep_count, sizeof c->keep_count);
        memcpy(c->keep_ms, s->keep_ms, sizeof c->keep_ms);
    }
    mem_done(u, queue);
    return 0;
}

static int take_entries(struct mem_unit *u, const struct jobq_row_error **list, size_t count)
{
    struct jobq_row_error *entries = count ? mem_alloc(u, count * sizeof *entries) : NULL;
    if (count && !entries)
        return -1;
    for (size_t i = 0; i < count; i++) {
        entries[i] = (*list)[i];
        if (mem_copy_bytes(u, entries[i].worker, &entries[i].worker) != 0 ||
            mem_copy_bytes(u, entries[i].text, &entries[i].text) != 0)
            return -1;
    }
    *list = entries;
    return 0;
}

/* What came to the row after it was put. */
static int take_bytes(struct mem_unit *u, struct jobq_row *r)
{
    struct jobq_bytes *cells[] = {&r->worker, &r->result, &r->progress, &r->data};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        if (mem_copy_bytes(u, *cells[i], cells[i]) != 0)
            return -1;
    return 0;
}

static int take_row(struct mem_unit *u, struct jobq_item *item)
{
    const struct jobq_item_row *in = &item->as.row;
    if (mem_find(u->m, &in->row.id)) {
        item->verdict = JOBQ_ALREADY;
        return 0;
    }
    struct mem_queue *queue = mem_queue_get(u, in->row.queue);
    struct mem_lane *lane = NULL;
    if (!queue || mem_edit(u, queue) != 0)
        return -1;
    queue->c.known = true;
    if (in->row.state == JOBQ_ROW_COMPLETED)
        queue->c.results_at_ms = 0;
    mem_done(u, queue);
    if (in->row.group.size && !(lane = mem_lane_get(u, queue, in->row.group)))
        return -1;
    struct mem_row *row = mem_row_make(u, queue, lane, &in->row);
    if (!row)
        return -1;
    row->c.has_key = in->has_key != 0;
    row->c.key = in->key;
    row->c.window_until_ms = in->window_until_ms;
    row->c.has_digest = in->has_digest != 0;
    row->c.digest_used = in->digest_used != 0;
    memcpy(row->c.digest, in->digest, sizeof row->c.digest);
    row->c.swept = in->swept;
    row->c.row.parents = NULL;
    row->c.open_children = mem_edges_open(u->m, &in->row.id);
    if (u->m->fence < in->row.fence)
        u->m->fence = in->row.fence;
    u->wake = true;
    if (take_bytes(u, &row->c.row) != 0 || take_entries(u, &row->c.row.errors, in->row.error_count) != 0 ||
        take_entries(u, &row->c.row.log, in->row.log_count) != 0 || mem_add(u, row) != 0)
        return -1;
    return mem_edges_load(u, &in->row.id, in->edges, in->edge_count);
}

static int take_schedule(struct mem_unit *u, struct jobq_item *item)
{
    int status = mem_schedule_load(u, &item->as.schedule);
    item->verdict = status;
    return status < 0 ? -1 : 0;
}

static int take_key(struct mem_unit *u, struct jobq_item *item)
{
    const struct jobq_item_key *in = &item->as.key;
    if (mem_key_held(u->m, in->key.scope, u->now)) {
        item->verdict = JOBQ_ALREADY;
        return 0;
    }
    return mem_key_load(u, in);
}

int mem_load(struct mem_unit *u, struct jobq_item *item)
{
    item->verdict = JOBQ_OK;
    switch (item->kind) {
    case JOBQ_ITEM_SETTINGS:
        return take_settings(u, item);
    case JOBQ_ITEM_SCHEDULE:
        return take_schedule(u, item);
    case JOBQ_ITEM_ROW:
        return take_row(u, item);
    case JOBQ_ITEM_WORKER:
        return mem_worker_load(u, &item->as.worker);
    default:
        return take_key(u, item);
    }
}
