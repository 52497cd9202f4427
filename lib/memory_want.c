/* SPDX-License-Identifier: MIT */
/* Taking rows out: those that are due, and those that somebody or something has let slip. */
#include "memory.h"

#include <string.h>

/* The answer as it grows. */
struct catch {
    struct mem_unit *u;
    struct jobq_want *want;
    struct jobq_row *rows;
    size_t count, bytes;
    bool full; /* `limit` or `bytes` is reached */
};

/* Room for one more row of this size? */
static bool has_room(struct catch *c, const struct mem_row *row)
{
    if (c->count >= c->want->limit) {
        c->full = true;
    } else if (c->count && c->want->bytes && row->c.row.payload_bytes > c->want->bytes - c->bytes) {
        c->full = true;
        c->want->more = 1;
    }
    return !c->full;
}

/* One token for all rows of the want: the caller's random half and a fence that rises. */
static void draw_token(struct catch *c)
{
    struct jobq_token *token = &c->want->token;
    if (c->count)
        return;
    uint64_t fence = (uint64_t)++c->u->m->fence;
    memcpy(token->bytes, c->want->mint, sizeof c->want->mint);
    for (size_t i = 0; i < 8; i++)
        token->bytes[15 - i] = (uint8_t)(fence >> 8 * i);
}

static int give(struct catch *c, const struct mem_row *row, int overdue)
{
    struct jobq_row *out = &c->rows[c->count];
    if (mem_view(c->u->m, c->u->arena, row, JOBQ_READ_PAYLOAD, out) != 0)
        return -1;
    out->overdue = overdue;
    c->count++;
    size_t room = SIZE_MAX - c->bytes;
    c->bytes += row->c.row.payload_bytes < room ? row->c.row.payload_bytes : room;
    if (c->want->bytes && c->bytes > c->want->bytes)
        c->bytes = c->want->bytes;
    return 0;
}

static int begin(struct catch *c, struct mem_unit *u, struct jobq_want *want)
{
    *c = (struct catch){ .u = u, .want = want };
    want->token = (struct jobq_token){ 0 };
    want->rows = NULL;
    want->row_count = 0;
    want->more = 0;
    want->next_cursor = (struct jobq_bytes){ 0 };
    want->schedules = NULL;
    want->schedule_count = 0;
    size_t stored = 0;
    for (const struct mem_queue *q = mem_queue_after(u->m, NULL); q; q = mem_queue_after(u->m, q))
        for (int state = 0; state < 8; state++)
            stored += q->count[state];
    size_t most = want->limit < stored ? want->limit : stored;
    c->rows = jobq_arena_alloc(u->arena, most * sizeof *c->rows);
    return c->rows ? 0 : -1;
}

/* ---- due ----------------------------------------------------------------------------------------------------- */

/* Among the queues named the waiting row without the bit that is first by time. */
static struct mem_row *next_to_wake(const struct mem_unit *u, const struct jobq_want *want)
{
    struct mem_row *first = NULL;
    for (size_t i = 0; i < want->queue_count; i++) {
        const struct mem_queue *queue = mem_queue_find(u->m, want->queues[i]);
        struct mem_row *row = queue ? mem_queue_next(&queue->asleep, NULL) : NULL;
        if (!row || row->c.row.run_at_ms > u->now)
            continue;
        if (!first || row->c.row.run_at_ms < first->c.row.run_at_ms ||
            (row->c.row.run_at_ms == first->c.row.run_at_ms && row->c.arrival < first->c.arrival))
            first = row;
    }
    return first;
}

static int set_due_bits(struct catch *c)
{
    struct mem_row *row;
    size_t left = c->want->limit < SIZE_MAX / 4 ? 2 * c->want->limit + 64 : SIZE_MAX;
    for (; (row = next_to_wake(c->u, c->want)) != NULL && left; left--) {
        if (mem_edit(c->u, row) != 0)
            return -1;
        row->c.row.due = 1;
        mem_done(c->u, row);
    }
    c->want->more = row != NULL;
    return 0;
}

static bool kind_wanted(const struct jobq_want *want, const struct jobq_row *r)
{
    for (size_t i = 0; i < want->kind_count; i++)
        if (mem_bytes_order(want->kinds[i], r->kind) == 0)
            return true;
    return want->kind_count == 0;
}

static int claim(struct catch *c, struct mem_row *row)
{
    struct jobq_row *r = &row->c.row;
    int64_t now = c->u->now, since = r->run_at_ms > r->created_at_ms ? r->run_at_ms : r->created_at_ms;
    draw_token(c);
    if (mem_edit(c->u, row) != 0 || mem_set_bytes(c->u, &r->worker, c->want->worker) != 0 ||
        mem_set_bytes(c->u, &r->progress, (struct jobq_bytes){ 0 }) != 0)
        return -1;
    struct jobq_bytes worker = r->worker;
    jobq_row_claim(r, c->want, c->u->m->fence, now);
    r->worker = worker;
    row->c.swept = JOBQ_OVERDUE_NONE;
    mem_done(c->u, row);
    if (mem_key_settle(c->u, row, JOBQ_ROW_RUNNING) != 0 || mem_figure(c->u, row->queue, MEM_WAITED, now - since) != 0 ||
        mem_event(c->u, row, JOBQ_ROW_RUNNING) != 0)
        return -1;
    return give(c, row, JOBQ_OVERDUE_NONE);
}

static int take_from(struct catch *c, const struct mem_queue *queue, bool alone)
{
    struct mem_row *next;
    for (struct mem_row *row = mem_ready_from(queue, alone); row && !c->full; row = next) {
        const struct jobq_row *r = &row->c.row;
        next = mem_queue_next(&queue->ready, row);
        if (r->alone != alone)
            break;
        if (!kind_wanted(c->want, r) || !has_room(c, row))
            continue;
        bool expired = r->expires_at_ms && r->expires_at_ms <= c->u->now;
        if (expired)
            draw_token(c);
        if (expired ? give(c, row, JOBQ_OVERDUE_EXPIRED) != 0 : claim(c, row) != 0)
            return -1;
        c->full |= alone;
    }
    return 0;
}

/* A row claimed by itself by a process that holds no other ran alone. */
static int note_company(struct catch *c)
{
    struct jobq_row *only = NULL;
    for (size_t i = 0; i < c->count; i++) {
        if (c->rows[i].state != JOBQ_ROW_RUNNING)
            continue;
        if (only)
            return 0;
        only = &c->rows[i];
    }
    struct mem_row *row = only && !c->want->others ? mem_find(c->u->m, &only->id) : NULL;
    if (!row)
        return 0;
    if (mem_edit(c->u, row) != 0)
        return -1;
    row->c.row.ran_alone = only->ran_alone = 1;
    mem_done(c->u, row);
    return 0;
}

/* A queue named twice is looked at once: what it gave unclaimed would be given again. */
static bool named_before(const struct jobq_want *want, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (mem_bytes_order(want->queues[j], want->queues[i]) == 0)
            return true;
    return false;
}

static int take_due(struct catch *c)
{
    bool alone = c->want->mode == JOBQ_WANT_ALONE;
    if (set_due_bits(c) != 0)
        return -1;
    for (size_t i = 0; i < c->want->queue_count && !c->full; i++) {
        const struct mem_queue *queue = mem_queue_find(c->u->m, c->want->queues[i]);
        if (queue && !queue->c.paused && !named_before(c->want, i) && take_from(c, queue, alone) != 0)
            return -1;
    }
    return note_company(c);
}

/* ---- overdue --------------------------------------------------------------------------------------------------- */

static int reason_of(const struct mem_unit *u, const struct mem_row *row)
{
    bool running = row->c.row.state == JOBQ_ROW_RUNNING;
    return running && row->c.swept ? row->c.swept : jobq_row_overdue(&row->c.row, u->now);
}

static int sweep(struct catch *c, struct mem_row *row, int reason)
{
    struct jobq_row *r = &row->c.row;
    if (mem_edit(c->u, row) != 0)
        return -1;
    r->token = c->want->token;
    r->fence = c->u->m->fence;
    r->outcome = JOBQ_OUTCOME_NONE;
    r->lease_until_ms = jobq_add_ms(c->u->now, c->want->lease_ms);
    row->c.swept = reason;
    mem_done(c->u, row);
    return give(c, row, reason);
}

static int give_edges(struct catch *c, struct mem_row *row)
{
    bool more = false;
    if (mem_edges_resolve(c->u, row, &more) != 0)
        return -1;
    c->want->more |= more;
    struct jobq_edge *children = jobq_arena_alloc(c->u->arena, EDGES_AT_ONCE * sizeof *children);
    if (!children)
        return -1;
    size_t count = mem_edges_undecided(c->u->m, row, children, EDGES_AT_ONCE);
    if (!count)
        return 0;
    draw_token(c);
    if (give(c, row, JOBQ_OVERDUE_EDGES) != 0)
        return -1;
    c->rows[c->count - 1].children = children;
    c->rows[c->count - 1].child_count = count;
    return 0;
}

static int take_overdue(struct catch *c)
{
    struct mem_row *next;
    size_t looked_at = 0; /* ended rows; most of them need no decision and are not given */
    for (struct mem_row *row = mem_clock_next(c->u->m, NULL); row; row = next) {
        if (mem_overdue_at(row) > c->u->now || !has_room(c, row))
            break;
        next = mem_clock_next(c->u->m, row);
        int reason = reason_of(c->u, row);
        if (reason == JOBQ_OVERDUE_EDGES) {
            if (looked_at++ == c->want->limit) {
                c->want->more = 1;
                break;
            }
            if (give_edges(c, row) != 0)
                return -1;
            continue;
        }
        draw_token(c);
        bool held = row->c.row.state == JOBQ_ROW_RUNNING;
        if (held ? sweep(c, row, reason) != 0 : give(c, row, reason) != 0)
            return -1;
    }
    return 0;
}

int mem_want(struct mem_unit *u, struct jobq_want *want)
{
    struct catch c;
    if (begin(&c, u, want) != 0)
        return -1;
    if ((want->mode == JOBQ_WANT_OVERDUE ? take_overdue(&c) : take_due(&c)) != 0)
        return -1;
    want->rows = c.rows;
    want->row_count = c.count;
    return want->mode == JOBQ_WANT_OVERDUE ? mem_ticks_due(u, want) : 0;
}
