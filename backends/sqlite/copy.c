/* SPDX-License-Identifier: MIT */
/* Everything that is stored, as it is: pages of it out, items of it in. */
#include "store.h"

#include <string.h>

/* ---- out ------------------------------------------------------------------------------------------------ */

/* A page as it grows. */
struct page {
    struct jobq_store *s;
    struct jobq_dump *dump;
    struct jobq_arena *arena;
    struct jobq_item *items;
    size_t count, bytes;
    int64_t now;
};

static int copy(struct page *p, struct jobq_bytes from, struct jobq_bytes *to)
{
    return jobq_arena_bytes(p->arena, from.data, from.size, to) == 0 ? 0 : sq_fault_memory(p->s);
}

static struct jobq_item *next_item(struct page *p)
{
    struct jobq_item *item = &p->items[p->count++];
    memset(item, 0, sizeof *item);
    item->kind = p->dump->kind;
    return item;
}

/* ---- settings -------------------------------------------------------------------------------------------- */

#define OF_QUEUES JOBQ_LIMIT_QUEUE

static void give_limit(struct jobq_settings *s, uint32_t bit, int64_t value, int64_t *out)
{
    if (value < JOBQ_LIMIT_NONE || (value < 0 && s->what == JOBQ_CONFIGURE_QUEUE))
        return;
    s->set |= bit;
    *out = value;
}

/* Where the next page goes on: what the newest is of, and its name. */
static int settings_end(struct page *p, int of, struct jobq_bytes name)
{
    char *at = jobq_arena_alloc(p->arena, name.size + 1);
    if (!at)
        return sq_fault_memory(p->s);
    at[0] = (char)of;
    if (name.size)
        memcpy(at + 1, name.data, name.size);
    p->dump->last = (struct jobq_bytes){ at, name.size + 1 };
    return 0;
}

static int give_queue(struct page *p, int64_t id, struct jobq_bytes name)
{
    struct jobq_item_settings *out = &next_item(p)->as.settings;
    struct jobq_settings *s = &out->settings;
    struct queue_settings q;
    if (sq_queue_settings(p->s, id, &q) != 0 || copy(p, name, &s->name) != 0)
        return -1;
    s->size = sizeof *s;
    s->what = JOBQ_CONFIGURE_QUEUE;
    s->paused = q.paused;
    s->set = (q.paused ? JOBQ_SETTING_PAUSED : 0) | (q.keeps ? JOBQ_SETTING_KEEP : 0);
    give_limit(s, JOBQ_SETTING_DEPTH, q.depth, &s->depth);
    give_limit(s, JOBQ_SETTING_CONCURRENCY, q.concurrency, &s->concurrency);
    give_limit(s, JOBQ_SETTING_GROUP_CONCURRENCY, q.group_concurrency, &s->group_concurrency);
    give_limit(s, JOBQ_SETTING_RATE, q.rate, &s->rate);
    s->rate_period_ms = q.rate < 0 ? 0 : q.rate_period_ms;
    for (int state = JOBQ_ROW_COMPLETED; q.keeps && state <= JOBQ_ROW_CANCELLED; state++) {
        s->keep_count[state] = q.keep_count[state];
        s->keep_ms[state] = q.keep_ms[state];
    }
    if (q.keeps)
        s->keep_ms[JOBQ_KEEP_RESULTS] = q.keep_ms[JOBQ_KEEP_RESULTS];
    out->enqueued_total = (uint64_t)q.count[COUNT_ENQUEUED_TOTAL];
    out->completed_total = (uint64_t)q.count[COUNT_COMPLETED_TOTAL];
    out->dead_total = (uint64_t)q.count[COUNT_DEAD_TOTAL];
    out->cancelled_total = (uint64_t)q.count[COUNT_CANCELLED_TOTAL];
    out->failed_total = (uint64_t)q.count[COUNT_FAILED_TOTAL];
    out->completed_trimmed = (uint64_t)q.count[COUNT_COMPLETED_TRIMMED];
    out->dead_trimmed = (uint64_t)q.count[COUNT_DEAD_TRIMMED];
    out->cancelled_trimmed = (uint64_t)q.count[COUNT_CANCELLED_TRIMMED];
    return settings_end(p, OF_QUEUES, name);
}

static int give_group(struct page *p, int of, sqlite3_stmt *row)
{
    struct jobq_settings *s = &next_item(p)->as.settings.settings;
    struct jobq_bytes name = sq_column_bytes(row, 6);
    struct jobq_bounds own;
    sq_limits_read(row, &own);
    s->size = sizeof *s;
    s->what = of == JOBQ_LIMIT_GROUP ? JOBQ_CONFIGURE_GROUP : JOBQ_CONFIGURE_PLAN;
    give_limit(s, JOBQ_SETTING_CONCURRENCY, own.concurrency, &s->concurrency);
    give_limit(s, JOBQ_SETTING_RATE, own.rate, &s->rate);
    give_limit(s, JOBQ_SETTING_QUOTA, own.quota, &s->quota);
    s->rate_period_ms = own.rate < 0 ? 0 : own.rate_period_ms;
    s->quota_period_ms = own.quota < 0 ? 0 : own.quota_period_ms;
    if (copy(p, sq_column_bytes(row, 5), &s->plan) != 0)
        return -1;
    s->set |= s->plan.size ? JOBQ_SETTING_PLAN : 0;
    if (of == JOBQ_LIMIT_PLAN ? copy(p, name, &s->name) != 0 : name.size && copy(p, name, &s->group) != 0)
        return -1;
    return settings_end(p, of, name);
}

/* Settings are given by what they are of: queues, groups, plans. `after` absent: from the first. */
static int give_groups(struct page *p, int of, struct jobq_bytes after)
{
    const struct jobq_bytes first = { "", 0 };
    sqlite3_stmt *row = sq_start(p->s, SQL_LIMIT_LIST,
                                 VALUES(number(of), bytes(after.data ? after : first), number(after.data != NULL),
                                        number((int64_t)(p->dump->limit - p->count))));
    int more;
    while ((more = sq_step(p->s, row)) > 0)
        if (give_group(p, of, row) != 0) {
            sqlite3_reset(row);
            return -1;
        }
    return more;
}

static int give_queues(struct page *p, struct jobq_bytes after)
{
    sqlite3_stmt *row = sq_start(p->s, SQL_COPY_QUEUES, VALUES(bytes(after)));
    int more = row ? 0 : -1;
    while (p->count < p->dump->limit && (more = sq_step(p->s, row)) > 0)
        if (give_queue(p, sqlite3_column_int64(row, 0), sq_column_bytes(row, 1)) != 0) {
            more = -1;
            break;
        }
    if (row)
        sqlite3_reset(row);
    return more < 0 ? -1 : 0;
}

static int give_settings(struct page *p)
{
    const struct jobq_bytes after = p->dump->after, none = { 0 };
    int of = after.size ? ((const char *)after.data)[0] : OF_QUEUES;
    struct jobq_bytes name = { after.size ? (const char *)after.data + 1 : NULL, after.size ? after.size - 1 : 0 };
    if (of == OF_QUEUES && give_queues(p, name) != 0)
        return -1;
    if (of <= JOBQ_LIMIT_GROUP && give_groups(p, JOBQ_LIMIT_GROUP, of == JOBQ_LIMIT_GROUP ? name : none) != 0)
        return -1;
    return give_groups(p, JOBQ_LIMIT_PLAN, of == JOBQ_LIMIT_PLAN ? name : none);
}

/* ---- rows ------------------------------------------------------------------------------------------------- */

static int give_edges(struct page *p, struct jobq_item_row *out)
{
    sqlite3_stmt *row = sq_start(p->s, SQL_COPY_EDGES, VALUES(id_value(&out->row.id)));
    struct jobq_item_edge *edges = NULL;
    size_t room = 0;
    int more;
    while ((more = sq_step(p->s, row)) > 0) {
        struct jobq_item_edge *grown = jobq_arena_grow(p->arena, edges, out->edge_count, &room, sizeof *edges);
        if (!grown) {
            sqlite3_reset(row);
            return sq_fault_memory(p->s);
        }
        edges = grown;
        struct jobq_item_edge *edge = &edges[out->edge_count++];
        struct jobq_bytes parent = sq_column_bytes(row, 0);
        *edge = (struct jobq_item_edge){ .rule = sqlite3_column_int(row, 1), .open = sqlite3_column_int(row, 2) != 0 };
        if (parent.size == sizeof edge->parent)
            memcpy(&edge->parent, parent.data, sizeof edge->parent);
    }
    out->edges = edges;
    return more;
}

/* 1 given, 0 there is no room for it, -1. */
static int give_row(struct page *p, int64_t n)
{
    struct jobq_item_row *out = &next_item(p)->as.row;
    struct job job;
    if (sq_view_row(p->s, p->arena, n, JOBQ_READ_PAYLOAD | JOBQ_READ_RESULT | JOBQ_READ_ERRORS | JOBQ_READ_LOG, &out->row, &job) <= 0)
        return -1;
    p->bytes += out->row.payload.size + out->row.data.size + out->row.result.size;
    if (p->count > 1 && p->dump->bytes && p->bytes > p->dump->bytes) {
        p->count--;
        return 0;
    }
    out->key = job.key;
    out->window_until_ms = job.window_until_ms;
    out->has_key = job.has_key;
    out->has_digest = job.has_digest;
    out->digest_used = (job.flags & FLAG_DIGEST_USED) != 0;
    memcpy(out->digest, job.digest, sizeof out->digest);
    out->swept = job.flags & FLAG_SWEPT_LEASE     ? JOBQ_OVERDUE_LEASE
                 : job.flags & FLAG_SWEPT_TIMEOUT ? JOBQ_OVERDUE_TIMEOUT
                                                  : JOBQ_OVERDUE_NONE;
    if (job.flags & FLAG_PARENTS && give_edges(p, out) != 0)
        return -1;
    return copy(p, (struct jobq_bytes){ &n, sizeof n }, &p->dump->last) != 0 ? -1 : 1;
}

static void take_32(struct jobq_bytes from, uint8_t to[32])
{
    if (from.size == 32)
        memcpy(to, from.data, 32);
}

/* What a rule does not hold any more is on its way out, and no part of a copy. */
static void give_key(struct page *p, sqlite3_stmt *row)
{
    int state = sqlite3_column_type(row, 6) == SQLITE_NULL ? sqlite3_column_int(row, 5) : sqlite3_column_int(row, 6);
    struct jobq_bytes job = sq_column_bytes(row, 1);
    struct job holder = { .n = 0 };
    if (!jobq_key_holds(sqlite3_column_int(row, 2), state, 0, sqlite3_column_int64(row, 3), p->now))
        return;
    struct jobq_item_key *out = &next_item(p)->as.key;
    take_32(sq_column_bytes(row, 0), out->key.scope);
    if (sq_unpack(sq_column_bytes(row, 7), &holder))
        memcpy(out->key.payload_digest, holder.key.payload_digest, sizeof out->key.payload_digest);
    take_32(sq_column_bytes(row, 4), out->key.payload_digest);
    if (job.size == sizeof out->job)
        memcpy(&out->job, job.data, sizeof out->job);
    out->key.hold = sqlite3_column_int(row, 2);
    out->window_until_ms = sqlite3_column_int64(row, 3);
    out->ended = sqlite3_column_int(row, 5);
    p->dump->last = (struct jobq_bytes){ out->key.scope, sizeof out->key.scope };
}

static int give_schedules(struct page *p)
{
    struct jobq_schedule_query query = { .size = sizeof query, .after = p->dump->after, .limit = p->dump->limit,
                                         .bytes = p->dump->bytes };
    if (sq_schedules_page(p->s, &query, p->arena) != 0)
        return -1;
    for (size_t i = 0; i < query.row_count; i++) {
        next_item(p)->as.schedule = query.rows[i];
        p->dump->last = query.rows[i].name;
    }
    return 0;
}

static sqlite3_stmt *start_page(const struct page *p)
{
    const struct jobq_bytes after = p->dump->after;
    int64_t n = 0;
    if (after.size == sizeof n)
        memcpy(&n, after.data, sizeof n);
    if (p->dump->kind == JOBQ_ITEM_ROW)
        return sq_start(p->s, SQL_COPY_JOBS, VALUES(number(n)));
    return sq_start(p->s, SQL_COPY_KEYS, VALUES(bytes(after)));
}

static int give_page(struct page *p)
{
    int more, given = 1;
    if (sq_clock_read(p->s, &p->now) != 0)
        return -1;
    if (p->dump->kind == JOBQ_ITEM_SCHEDULE)
        return give_schedules(p);
    if (p->dump->kind == JOBQ_ITEM_SETTINGS)
        return give_settings(p);
    sqlite3_stmt *row = start_page(p);
    while (given > 0 && p->count < p->dump->limit && (more = sq_step(p->s, row)) != 0) {
        if (more < 0)
            return -1;
        if (p->dump->kind == JOBQ_ITEM_ROW)
            given = give_row(p, sqlite3_column_int64(row, 0));
        else
            give_key(p, row);
    }
    if (row)
        sqlite3_reset(row);
    return given < 0 || !row ? -1 : 0;
}

int sq_dump(struct jobq_store *s, struct jobq_dump *dump, struct jobq_arena *arena, struct jobq_error *err)
{
    struct page p = { .s = s, .dump = dump, .arena = arena };
    bool unknown;
    dump->items = p.items = jobq_arena_alloc(arena, dump->limit * sizeof *p.items);
    dump->item_count = 0;
    dump->last = (struct jobq_bytes){ 0 };
    if (!p.items)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "sqlite: out of memory");
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "sqlite: the store has version %d of the schema, this library "
                              "reads %d", s->version, SCHEMA_VERSION);
    if (sq_tx_begin_read(s) != 0)
        return sq_fault_report(s, err, JOBQ_FAILED);
    if (give_page(&p) != 0) {
        sq_tx_rollback(s);
        return sq_fault_report(s, err, JOBQ_FAILED);
    }
    sq_tx_commit(s, &unknown);
    dump->item_count = p.count;
    return JOBQ_OK;
}

/* ---- in -------------------------------------------------------------------------------------------------- */

static int take_group(struct turn *t, struct jobq_item *item)
{
    const struct jobq_settings *s = &item->as.settings.settings;
    struct jobq_bounds own;
    struct jobq_bytes plan;
    int of;
    struct jobq_bytes name = sq_limit_name(s, &of);
    struct jobq_arena *arena = jobq_arena_create();
    int found = arena ? sq_limits_get(t->s, of, name, &own, &plan, arena) : sq_fault_memory(t->s);
    jobq_arena_destroy(arena);
    item->verdict = found > 0 ? JOBQ_ALREADY : JOBQ_OK;
    if (found != 0)
        return found < 0 ? -1 : 0;
    return sq_configure_group(t, s);
}

static int take_settings(struct turn *t, struct jobq_item *item)
{
    const struct jobq_item_settings *in = &item->as.settings;
    const struct jobq_settings *s = &in->settings;
    int64_t id;
    if (s->what != JOBQ_CONFIGURE_QUEUE)
        return take_group(t, item);
    int found = sq_queue_find(t->s, s->name, &id);
    item->verdict = found > 0 ? JOBQ_ALREADY : JOBQ_OK;
    if (found != 0)
        return found < 0 ? -1 : 0;
    if (sq_queue_make(t->s, s->name, &id) != 0 || sq_configure_queue(t, s) != 0)
        return -1;
    struct queue *queue = sq_queue_of(t, id);
    if (!queue)
        return -1;
    queue->diff[COUNT_ENQUEUED_TOTAL] += (int64_t)in->enqueued_total;
    queue->diff[COUNT_COMPLETED_TOTAL] += (int64_t)in->completed_total;
    queue->diff[COUNT_DEAD_TOTAL] += (int64_t)in->dead_total;
    queue->diff[COUNT_CANCELLED_TOTAL] += (int64_t)in->cancelled_total;
    queue->diff[COUNT_FAILED_TOTAL] += (int64_t)in->failed_total;
    queue->diff[COUNT_COMPLETED_TRIMMED] += (int64_t)in->completed_trimmed;
    queue->diff[COUNT_DEAD_TRIMMED] += (int64_t)in->dead_trimmed;
    queue->diff[COUNT_CANCELLED_TRIMMED] += (int64_t)in->cancelled_trimmed;
    return 0;
}

static int32_t flags_of(const struct jobq_item_row *in)
{
    const struct jobq_row *r = &in->row;
    const struct {
        bool set;
        int32_t flag;
    } bits[] = {
        { r->cancel_asked, FLAG_CANCEL_ASKED },
        { r->held, FLAG_HELD },
        { r->alone, FLAG_ALONE },
        { r->ran_alone, FLAG_RAN_ALONE },
        { r->resumed, FLAG_RESUMED },
        { in->digest_used, FLAG_DIGEST_USED },
        { in->swept == JOBQ_OVERDUE_LEASE, FLAG_SWEPT_LEASE },
        { in->swept == JOBQ_OVERDUE_TIMEOUT, FLAG_SWEPT_TIMEOUT },
        { sq_is_bulky(r->payload), FLAG_BULK_PAYLOAD },
        { sq_is_bulky(r->result), FLAG_BULK_RESULT },
        { sq_is_bulky(r->data), FLAG_BULK_DATA },
        { in->edge_count > 0, FLAG_PARENTS },
        { r->log_count > 0, FLAG_LOG },
    };
    int32_t flags = 0;
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        flags |= bits[i].set ? bits[i].flag : 0;
    return flags;
}

/* The row as this store holds it. */
static int fill_job(struct turn *t, const struct jobq_item_row *in, struct job *job)
{
    int64_t children;
    *job = (struct job){ .row = in->row, .errors = (int32_t)in->row.error_count, .flags = flags_of(in),
                         .has_key = in->has_key != 0, .has_digest = in->has_digest != 0, .key = in->key,
                         .window_until_ms = in->window_until_ms };
    memcpy(job->digest, in->digest, sizeof job->digest);
    job->row.payload_bytes = in->row.payload.size;
    if (sq_number(t->s, SQL_COPY_CHILDREN, &children, VALUES(id_value(&in->row.id))) < 0)
        return -1;
    job->children = (uint32_t)children;
    if (sq_queue_make(t->s, in->row.queue, &job->queue) != 0 || sq_kind_make(t->s, in->row.kind, &job->kind) != 0)
        return -1;
    struct lane_mark mark = { .id = 0 };
    if (in->row.group.size && sq_lane_make(t, job->queue, in->row.group, &mark) != 0)
        return -1;
    job->lane = mark.id;
    return 0;
}

static struct value in_row(struct jobq_bytes b)
{
    return sq_is_bulky(b) ? nothing() : bytes(b);
}

static int insert(struct turn *t, const struct job *job)
{
    static const struct jobq_token none;
    const struct jobq_row *r = &job->row;
    struct pack rest;
    bool claimed = memcmp(&r->token, &none, sizeof none) != 0;
    return sq_run(t->s, SQL_LOAD_JOB,
                  VALUES(id_value(&r->id), number(r->state), number(job->queue), number(job->kind),
                         number(flags_with(job->flags, r->outcome, r->reason)), number(sq_job_list(job)),
                         number(sq_row_place(r)), instant(sq_row_alarm(job)), number(r->run_at_ms),
                         number(r->created_at_ms), number(r->attempt),
                         claimed ? blob(r->token.bytes, sizeof r->token.bytes) : nothing(), bytes(r->worker),
                         instant(r->started_at_ms), instant(r->stop_at_ms), sq_pack(&rest, job), bytes(r->group),
                         bytes(r->policy), bytes(r->key), bytes(r->trace), bytes(r->progress), in_row(r->payload),
                         in_row(r->result), in_row(r->data), instant(job->lane)));
}

/* What stands beside the row. */
static int insert_more(struct turn *t, const struct job *job, int64_t n)
{
    const struct jobq_row *r = &job->row;
    const struct jobq_bytes bulk[] = { [BULK_PAYLOAD] = r->payload, [BULK_RESULT] = r->result, [BULK_DATA] = r->data };
    for (enum bulk what = BULK_PAYLOAD; what <= BULK_DATA; what++)
        if (job->flags & sq_bulk_flag(what) && sq_bulk_put(t->s, n, what, bulk[what]) != 0)
            return -1;
    for (size_t i = 0; i < r->error_count; i++) {
        const struct jobq_row_error *e = &r->errors[i];
        if (sq_run(t->s, SQL_ERROR_ADD,
                   VALUES(number(n), number((int64_t)i + 1), number(e->attempt), number(e->kind), number(e->at_ms),
                          bytes(e->worker), bytes(e->text))) != 0)
            return -1;
    }
    for (size_t i = 0; i < r->log_count; i++) {
        const struct jobq_row_error *e = &r->log[i];
        if (sq_run(t->s, SQL_LOG_ADD,
                   VALUES(number(n), number((int64_t)i + 1), number(e->attempt), number(e->at_ms), bytes(e->worker),
                          bytes(e->text))) != 0)
            return -1;
    }
    return 0;
}

/* The parent may come later; it counts its children then. */
static int take_edges(struct turn *t, const struct jobq_item_row *in)
{
    for (size_t i = 0; i < in->edge_count; i++) {
        const struct jobq_item_edge *e = &in->edges[i];
        struct job parent;
        if (sq_run(t->s, SQL_LOAD_EDGE,
                   VALUES(id_value(&in->row.id), id_value(&e->parent), number(e->rule),
                          number(e->rule != JOBQ_PARENT_IGNORE), number(e->open != 0))) != 0)
            return -1;
        int found = e->open ? sq_job_find(t->s, &e->parent, &parent) : 0;
        if (found > 0)
            parent.children++;
        if (found < 0 || (found && sq_job_save(t, &parent) != 0))
            return -1;
    }
    return 0;
}

static int lift_fence(struct turn *t, int64_t fence)
{
    if (fence <= t->s->clock.fence)
        return 0;
    t->s->clock.fence = t->s->clock.fence_taken = fence;
    return sq_run(t->s, SQL_FENCE_SET, VALUES(number(fence)));
}

static int take_row(struct turn *t, struct jobq_item *item)
{
    const struct jobq_item_row *in = &item->as.row;
    struct job job;
    int found = sq_job_find(t->s, &in->row.id, &job);
    item->verdict = found > 0 ? JOBQ_ALREADY : JOBQ_OK;
    if (found != 0)
        return found < 0 ? -1 : 0;
    if (fill_job(t, in, &job) != 0 || insert(t, &job) != 0)
        return -1;
    job.n = sqlite3_last_insert_rowid(t->s->db);
    if (insert_more(t, &job, job.n) != 0)
        return -1;
    struct queue *queue = sq_queue_of(t, job.queue);
    if (!queue || lift_fence(t, in->row.fence) != 0)
        return -1;
    if (job.row.state == JOBQ_ROW_COMPLETED && sq_trim_results_anew(t, queue) != 0)
        return -1;
    queue->diff[sq_row_count(&job.row)]++;
    if (sq_lane_run(t, job.lane, job.row.state == JOBQ_ROW_RUNNING) != 0 ||
        (sq_job_list(&job) < 0 && sq_lane_ready(t, job.lane, sq_row_place(&job.row), job.n) != 0))
        return -1;
    t->wake = true;
    return take_edges(t, in);
}

static int take_schedule(struct turn *t, struct jobq_item *item)
{
    int found = sq_schedule_load(t, &item->as.schedule);
    item->verdict = found > 0 ? JOBQ_ALREADY : JOBQ_OK;
    return found < 0 ? -1 : 0;
}

static int take_key(struct turn *t, struct jobq_item *item)
{
    const struct jobq_item_key *in = &item->as.key;
    struct key_holder holder;
    int held = sq_key_held(t, in->key.scope, &holder);
    item->verdict = held > 0 ? JOBQ_ALREADY : JOBQ_OK;
    if (held != 0)
        return held < 0 ? -1 : 0;
    bool fades = in->ended && in->key.hold == JOBQ_HOLD_WINDOW;
    return sq_run(t->s, SQL_LOAD_KEY,
                  VALUES(blob(in->key.scope, sizeof in->key.scope), id_value(&in->job), number(in->key.hold),
                         number(in->window_until_ms), blob(in->key.payload_digest, sizeof in->key.payload_digest),
                         number(in->ended), fades ? number(in->window_until_ms) : nothing()));
}

static int take_all(struct turn *t, struct jobq_item *items, size_t count)
{
    if (sq_clock_write(t->s, &t->now) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct jobq_item *item = &items[i];
        int result = item->kind == JOBQ_ITEM_SETTINGS ? take_settings(t, item)
                     : item->kind == JOBQ_ITEM_ROW    ? take_row(t, item)
                     : item->kind == JOBQ_ITEM_SCHEDULE ? take_schedule(t, item)
                                                        : take_key(t, item);
        if (result != 0)
            return -1;
    }
    return sq_queue_write(t);
}

int sq_load(struct jobq_store *s, struct jobq_item *items, size_t count, struct jobq_error *err)
{
    struct turn t = { .s = s, .put_due = INT64_MAX };
    bool unknown = false;
    if (s->inspect)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "sqlite: opened to inspect: nothing can be written");
    s->turns++;
    if (sq_tx_begin_write(s) != 0)
        return sq_fault_report(s, err, JOBQ_FAILED);
    if (take_all(&t, items, count) != 0) {
        sq_tx_rollback(s);
        return sq_fault_report(s, err, JOBQ_FAILED);
    }
    if (sq_tx_commit(s, &unknown) != 0)
        return sq_fault_report(s, err, unknown ? JOBQ_UNKNOWN : JOBQ_FAILED);
    s->epoch++; /* what was read before is no longer so */
    if (t.wake)
        sq_wake_others(s);
    sq_checkpoint_if_due(s);
    return JOBQ_OK;
}
