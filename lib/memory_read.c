/* SPDX-License-Identifier: MIT */
/* Reading, counting, settings and the workers' own records. */
#include "memory.h"

#include <string.h>

#define KIND_READY_MAX 10000
#define WORKER_LEASES 10

/* ---- read ------------------------------------------------------------------------------------------------ */

static size_t bytes_given(const struct jobq_row *r, uint32_t flags)
{
    return (flags & JOBQ_READ_PAYLOAD ? r->payload_bytes : 0) + (flags & JOBQ_READ_RESULT ? r->result.size : 0);
}

/* The next row asked for; *at counts. NULL: no more. */
static const struct mem_row *next_asked(const struct mem *m, const struct jobq_query *query, size_t *at,
                                        struct jobq_id *cursor)
{
    if (!query->id_count) {
        const struct mem_row *row = mem_row_after(m, cursor);
        if (row)
            *cursor = row->c.row.id;
        return row;
    }
    while (*at < query->id_count) {
        const struct mem_row *row = mem_find(m, &query->ids[(*at)++]);
        if (row)
            return row;
    }
    return NULL;
}

static size_t stored_rows(const struct mem *m)
{
    size_t stored = 0;
    for (const struct mem_queue *q = mem_queue_after(m, NULL); q; q = mem_queue_after(m, q))
        for (int state = 0; state < 8; state++)
            stored += q->count[state];
    return stored;
}

int mem_read(struct mem *m, struct jobq_query *query, struct jobq_arena *arena, int64_t now)
{
    size_t stored = stored_rows(m);
    size_t most = query->id_count ? query->id_count : query->limit < stored ? query->limit : stored;
    struct jobq_row *rows = jobq_arena_alloc(arena, most * sizeof *rows);
    if (!rows)
        return -1;
    size_t at = 0, count = 0, bytes = 0;
    struct jobq_id cursor = query->after;
    const struct mem_row *row;
    while (count < most && (row = next_asked(m, query, &at, &cursor)) != NULL) {
        if (!query->id_count && !jobq_query_matches(query, &row->c.row, now))
            continue;
        bytes += bytes_given(&row->c.row, query->flags);
        if (count && query->bytes && bytes > query->bytes)
            break;
        if (mem_view(m, arena, row, query->flags, &rows[count]) != 0)
            return -1;
        count++;
    }
    query->rows = rows;
    query->row_count = count;
    query->now_ms = now;
    return 0;
}

/* ---- statistics: one walk over all rows ----------------------------------------------------------------------- */

struct kind_count {
    const char *queue;
    struct jobq_bytes kind;
    uint64_t ready;
};

struct tally {
    struct jobq_arena *arena;
    const struct jobq_bytes *only; /* data NULL: all */
    struct jobq_queue_stats *queues;
    struct kind_count *kinds;
    size_t queue_count, kind_count, kind_room;
    int64_t now;
};

static bool counts(const struct tally *t, const struct mem_queue *queue)
{
    return queue->c.known && (!t->only->data || mem_bytes_order(*t->only, queue->name) == 0);
}

static int tally_queues(struct tally *t, const struct mem *m)
{
    size_t count = 0;
    for (const struct mem_queue *q = mem_queue_after(m, NULL); q; q = mem_queue_after(m, q))
        count += counts(t, q);
    t->queues = jobq_arena_alloc(t->arena, count * sizeof *t->queues);
    if (!t->queues)
        return -1;
    for (const struct mem_queue *q = mem_queue_after(m, NULL); q; q = mem_queue_after(m, q)) {
        if (!counts(t, q))
            continue;
        struct jobq_queue_stats *out = &t->queues[t->queue_count++];
        *out = (struct jobq_queue_stats){
            .queue = jobq_arena_text(t->arena, q->name.data, q->name.size),
            .enqueued_total = q->c.enqueued, .completed_total = q->c.completed, .dead_total = q->c.dead,
            .cancelled_total = q->c.cancelled, .failed_total = q->c.failed, .paused = q->c.paused,
            .completed_trimmed = q->c.trimmed[JOBQ_ROW_COMPLETED], .dead_trimmed = q->c.trimmed[JOBQ_ROW_DEAD],
            .cancelled_trimmed = q->c.trimmed[JOBQ_ROW_CANCELLED],
        };
        mem_figures_view(q, t->now, out);
        if (!out->queue)
            return -1;
    }
    return 0;
}

static int tally_kind(struct tally *t, const char *queue, struct jobq_bytes kind)
{
    for (size_t i = 0; i < t->kind_count; i++)
        if (t->kinds[i].queue == queue && mem_bytes_order(t->kinds[i].kind, kind) == 0) {
            t->kinds[i].ready += t->kinds[i].ready < KIND_READY_MAX;
            return 0;
        }
    struct kind_count *kinds = jobq_arena_grow(t->arena, t->kinds, t->kind_count, &t->kind_room, sizeof *kinds);
    if (!kinds)
        return -1;
    t->kinds = kinds;
    t->kinds[t->kind_count++] = (struct kind_count){ .queue = queue, .kind = kind, .ready = 1 };
    return 0;
}

static int answer_kinds(const struct tally *t, struct jobq_stats *out)
{
    struct jobq_kind_stats *kinds = jobq_arena_alloc(t->arena, t->kind_count * sizeof *kinds);
    if (!kinds)
        return -1;
    out->kinds = kinds;
    out->kind_count = t->kind_count;
    for (size_t i = 0; i < t->kind_count; i++) {
        const char *kind = jobq_arena_text(t->arena, t->kinds[i].kind.data, t->kinds[i].kind.size);
        if (!kind)
            return -1;
        kinds[i] = (struct jobq_kind_stats){ .queue = t->kinds[i].queue, .kind = kind, .ready = t->kinds[i].ready };
    }
    return 0;
}

static int tally_row(struct tally *t, struct jobq_queue_stats *queue, const struct jobq_row *r)
{
    int shown = jobq_shown_state(r->state, r->run_at_ms, t->now);
    queue->present[shown]++;
    queue->stuck += r->state == JOBQ_ROW_RUNNING && r->lease_until_ms <= t->now;
    if (shown != JOBQ_READY)
        return 0;
    if (!queue->oldest_ready_at_ms || r->run_at_ms < queue->oldest_ready_at_ms)
        queue->oldest_ready_at_ms = r->run_at_ms;
    return tally_kind(t, queue->queue, r->kind);
}

static int tally_rows(struct tally *t, const struct mem *m)
{
    const struct jobq_id none = { 0 };
    size_t i = 0;
    for (const struct mem_queue *q = mem_queue_after(m, NULL); q; q = mem_queue_after(m, q)) {
        if (!counts(t, q))
            continue;
        for (const struct mem_row *row = mem_row_after(m, &none); row; row = mem_row_after(m, &row->c.row.id))
            if (row->queue == q && tally_row(t, &t->queues[i], &row->c.row) != 0)
                return -1;
        i++;
    }
    return 0;
}

/* ---- workers ------------------------------------------------------------------------------------------------------ */

static int order_workers(const struct mem_node *a, const struct mem_node *b)
{
    const struct mem_worker *x = mem_of(a, struct mem_worker, by_name), *y = mem_of(b, struct mem_worker, by_name);
    int order = mem_bytes_order(x->name, y->name);
    return order ? order : memcmp(x->nonce, y->nonce, sizeof x->nonce);
}

static void link_worker(struct mem *m, void *object)
{
    mem_tree_add(&m->workers, &((struct mem_worker *)object)->by_name);
}

static void unlink_worker(struct mem *m, void *object)
{
    mem_tree_remove(&m->workers, &((struct mem_worker *)object)->by_name);
}

static const struct mem_type worker_type = {
    .link = link_worker,
    .unlink = unlink_worker,
    .cells = offsetof(struct mem_worker, c),
    .cells_bytes = sizeof(struct mem_worker_cells),
};

static struct mem_worker *next_worker(const struct mem *m, const struct mem_worker *worker)
{
    struct mem_node *node = worker ? mem_tree_after(&m->workers, &worker->by_name) : mem_tree_first(&m->workers);
    return mem_of(node, struct mem_worker, by_name);
}

static bool is_forgotten(const struct mem_worker *worker, int64_t now)
{
    int64_t lease = worker->c.lease_ms;
    int64_t keep = lease > INT64_MAX / WORKER_LEASES ? INT64_MAX : lease * WORKER_LEASES;
    return jobq_add_ms(worker->c.seen_at_ms, keep) <= now;
}

static int drop_worker(struct mem_unit *u, struct mem_worker *worker)
{
    if (mem_drop(u, worker) != 0)
        return -1;
    mem_free(u, worker->name.data);
    mem_free(u, worker->c.host.data);
    mem_free(u, worker->c.queues.data);
    mem_free(u, worker->c.kinds.data);
    return 0;
}

static int forget_workers(struct mem_unit *u)
{
    struct mem_worker *next;
    for (struct mem_worker *worker = next_worker(u->m, NULL); worker; worker = next) {
        next = next_worker(u->m, worker);
        if (is_forgotten(worker, u->now) && drop_worker(u, worker) != 0)
            return -1;
    }
    return 0;
}

static struct mem_worker *find_worker(const struct mem *m, const struct jobq_worker_record *record)
{
    struct mem_worker *worker = next_worker(m, NULL);
    while (worker && (mem_bytes_order(worker->name, record->name) != 0 ||
                      memcmp(worker->nonce, record->nonce, sizeof worker->nonce) != 0))
        worker = next_worker(m, worker);
    return worker;
}

static struct mem_worker *new_worker(struct mem_unit *u, const struct jobq_worker_record *record)
{
    struct mem_worker *worker = mem_alloc(u, sizeof *worker);
    if (!worker || mem_copy_bytes(u, record->name, &worker->name) != 0)
        return NULL;
    worker->object.type = &worker_type;
    memcpy(worker->nonce, record->nonce, sizeof worker->nonce);
    return mem_add(u, worker) == 0 ? worker : NULL;
}

int mem_worker_note(struct mem_unit *u, struct jobq_worker_record *record)
{
    record->stop_asked = 0;
    if (forget_workers(u) != 0)
        return -1;
    struct mem_worker *worker = find_worker(u->m, record);
    if (record->leaving)
        return worker ? drop_worker(u, worker) : 0;
    if (!worker && !(worker = new_worker(u, record)))
        return -1;
    struct mem_worker_cells *c = &worker->c;
    if (mem_edit(u, worker) != 0 || mem_set_bytes(u, &c->host, record->host) != 0 ||
        mem_set_bytes(u, &c->queues, record->queues) != 0 || mem_set_bytes(u, &c->kinds, record->kinds) != 0)
        return -1;
    c->pid = record->pid;
    c->started_at_ms = record->started_at_ms;
    c->lease_ms = record->lease_ms;
    c->seen_at_ms = u->now;
    c->capacity = record->capacity;
    c->running = record->running;
    record->stop_asked = c->stop_asked;
    mem_done(u, worker);
    return 0;
}

int mem_workers_dump(const struct mem *m, struct jobq_arena *arena, struct jobq_dump *dump)
{
    size_t count = 0;
    for (const struct mem_worker *w = next_worker(m, NULL); w; w = next_worker(m, w))
        count++;
    struct jobq_item *item = jobq_arena_alloc(arena, count * sizeof *item);
    if (!item)
        return -1;
    dump->items = item;
    dump->item_count = dump->after.data ? 0 : count;
    for (const struct mem_worker *w = next_worker(m, NULL); w; w = next_worker(m, w), item++) {
        struct jobq_worker_record *r = &item->as.worker.record;
        *item = (struct jobq_item){ .kind = JOBQ_ITEM_WORKER, .as.worker.seen_at_ms = w->c.seen_at_ms };
        *r = (struct jobq_worker_record){ .pid = w->c.pid, .started_at_ms = w->c.started_at_ms,
                                          .lease_ms = w->c.lease_ms, .capacity = w->c.capacity,
                                          .running = w->c.running, .stop_asked = w->c.stop_asked };
        memcpy(r->nonce, w->nonce, sizeof r->nonce);
        if (jobq_arena_bytes(arena, w->name.data, w->name.size, &r->name) != 0 ||
            jobq_arena_bytes(arena, w->c.host.data, w->c.host.size, &r->host) != 0 ||
            jobq_arena_bytes(arena, w->c.queues.data, w->c.queues.size, &r->queues) != 0 ||
            jobq_arena_bytes(arena, w->c.kinds.data, w->c.kinds.size, &r->kinds) != 0)
            return -1;
        dump->last = r->name;
    }
    return 0;
}

int mem_worker_load(struct mem_unit *u, const struct jobq_item_worker *in)
{
    struct jobq_worker_record record = in->record;
    if (mem_worker_note(u, &record) != 0)
        return -1;
    struct mem_worker *worker = find_worker(u->m, &record);
    if (!worker || mem_edit(u, worker) != 0)
        return -1;
    worker->c.seen_at_ms = in->seen_at_ms;
    worker->c.stop_asked = in->record.stop_asked;
    mem_done(u, worker);
    return 0;
}

static const char *text_of(struct jobq_arena *arena, struct jobq_bytes bytes)
{
    return jobq_arena_text(arena, bytes.data, bytes.size);
}

static int tally_workers(const struct mem *m, struct jobq_stats *out, struct jobq_arena *arena, int64_t now)
{
    size_t count = 0;
    for (const struct mem_worker *w = next_worker(m, NULL); w; w = next_worker(m, w))
        count += !is_forgotten(w, now);
    struct jobq_worker_stats *workers = jobq_arena_alloc(arena, count * sizeof *workers);
    if (!workers)
        return -1;
    out->workers = workers;
    out->worker_count = count;
    for (const struct mem_worker *w = next_worker(m, NULL); w; w = next_worker(m, w)) {
        if (is_forgotten(w, now))
            continue;
        *workers = (struct jobq_worker_stats){
            .name = text_of(arena, w->name), .host = text_of(arena, w->c.host), .pid = w->c.pid,
            .started_at_ms = w->c.started_at_ms, .seen_at_ms = w->c.seen_at_ms, .lease_ms = w->c.lease_ms,
            .queues = text_of(arena, w->c.queues), .kinds = text_of(arena, w->c.kinds),
            .capacity = w->c.capacity, .running = w->c.running, .stop_asked = w->c.stop_asked,
        };
        if (!workers->name || !workers->host || !workers->queues || !workers->kinds)
            return -1;
        workers++;
    }
    return 0;
}

int mem_stats(struct mem *m, const struct jobq_bytes *queue, struct jobq_stats *out, struct jobq_arena *arena,
              int64_t now)
{
    struct tally t = { .arena = arena, .only = queue, .now = now };
    if (tally_queues(&t, m) != 0 || tally_rows(&t, m) != 0 || tally_workers(m, out, arena, now) != 0 ||
        answer_kinds(&t, out) != 0)
        return -1;
    out->queues = t.queues;
    out->queue_count = t.queue_count;
    out->now_ms = now;
    memcpy(out->store_id, m->store_id, sizeof out->store_id);
    return 0;
}

/* ---- settings ------------------------------------------------------------------------------------------------------- */

void mem_set_queue_limits(struct mem_queue_cells *c, const struct jobq_settings *settings)
{
    if (settings->set & JOBQ_SETTING_DEPTH)
        c->depth = settings->depth;
    if (settings->set & JOBQ_SETTING_CONCURRENCY)
        c->concurrency = settings->concurrency;
    if (settings->set & JOBQ_SETTING_GROUP_CONCURRENCY)
        c->group_concurrency = settings->group_concurrency;
    if (settings->set & JOBQ_SETTING_RATE) {
        c->rate = settings->rate;
        c->rate_period_ms = settings->rate_period_ms;
    }
}

static int configure_queue(struct mem_unit *u, const struct jobq_settings *settings)
{
    struct mem_queue *queue = mem_queue_get(u, settings->name);
    if (!queue || mem_edit(u, queue) != 0)
        return -1;
    queue->c.known = true;
    if (settings->set & JOBQ_SETTING_PAUSED) {
        queue->c.paused = settings->paused != 0;
        u->wake |= !settings->paused;
    }
    mem_set_queue_limits(&queue->c, settings);
    u->wake |= (settings->set & (JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_GROUP_CONCURRENCY | JOBQ_SETTING_RATE)) != 0;
    if (settings->set & JOBQ_SETTING_KEEP) {
        queue->c.has_keep = true;
        memcpy(queue->c.keep_count, settings->keep_count, sizeof queue->c.keep_count);
        memcpy(queue->c.keep_ms, settings->keep_ms, sizeof queue->c.keep_ms);
        queue->c.results_at_ms = 0;
    }
    mem_done(u, queue);
    return JOBQ_OK;
}

static int configure_worker(struct mem_unit *u, const struct jobq_settings *settings)
{
    int status = JOBQ_NOT_FOUND;
    for (struct mem_worker *w = next_worker(u->m, NULL); w; w = next_worker(u->m, w)) {
        if (is_forgotten(w, u->now) || mem_bytes_order(w->name, settings->name) != 0)
            continue;
        if (mem_edit(u, w) != 0)
            return -1;
        w->c.stop_asked = 1;
        mem_done(u, w);
        status = JOBQ_OK;
    }
    return status;
}

/* A status; -1 is JOBQ_FAILED, without memory. */
int mem_configure(struct mem_unit *u, const struct jobq_settings *settings)
{
    const uint32_t known = JOBQ_SETTING_PAUSED | JOBQ_SETTING_DEPTH | JOBQ_SETTING_CONCURRENCY |
                           JOBQ_SETTING_GROUP_CONCURRENCY | JOBQ_SETTING_RATE | JOBQ_SETTING_KEEP;
    switch (settings->what) {
    case JOBQ_CONFIGURE_QUEUE:
        return settings->set & ~known ? JOBQ_UNSUPPORTED : configure_queue(u, settings);
    case JOBQ_CONFIGURE_CLOCK:
        u->m->offset_ms = jobq_add_ms(u->m->offset_ms, settings->clock_ms);
        u->wake = true;
        return JOBQ_OK;
    case JOBQ_CONFIGURE_WORKER:
        return configure_worker(u, settings);
    case JOBQ_CONFIGURE_SCHEDULE:
        return mem_configure_schedule(u, settings);
    case JOBQ_CONFIGURE_EVENTS:
        mem_events_limit(u->m, settings->events);
        return JOBQ_OK;
    case JOBQ_CONFIGURE_GROUP:
    case JOBQ_CONFIGURE_PLAN:
        return mem_configure_group(u, settings);
    default:
        return JOBQ_UNSUPPORTED;
    }
}

void mem_workers_init(struct mem *m)
{
    m->workers.order = order_workers;
}

void mem_workers_free(struct mem *m)
{
    for (struct mem_worker *w; (w = next_worker(m, NULL)) != NULL;) {
        mem_tree_remove(&m->workers, &w->by_name);
        mem_free_now(w->name.data);
        mem_free_now(w->c.host.data);
        mem_free_now(w->c.queues.data);
        mem_free_now(w->c.kinds.data);
        mem_free_now(w);
    }
}
