/* SPDX-License-Identifier: MIT */
/* Taking rows out: those that are due, and those that somebody or something has let slip. */
#include "memory.h"

#include <string.h>

#define ALONE_PASSED_BY 64

/* The answer as it grows. */
struct catch {
    struct mem_unit *u;
    struct jobq_want *want;
    struct jobq_row *rows;
    const struct mem_row *last; /* that was given */
    struct jobq_bytes worker;   /* the store's copy */
    size_t count, bytes;
    size_t expired; /* rows given as they are; they stay where they were found */
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
    if (mem_view_next(c->u->m, c->u->arena, row, c->last, JOBQ_READ_PAYLOAD, out) != 0)
        return -1;
    c->last = row;
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

/* One copy of the worker's name for all rows that it claims. */
static int share_worker(struct catch *c)
{
    if (!c->worker.data)
        return mem_copy_bytes(c->u, c->want->worker, &c->worker);
    mem_share(c->worker.data);
    return 0;
}

static int claim(struct catch *c, struct mem_row *row)
{
    struct jobq_row *r = &row->c.row;
    int64_t now = c->u->now, since = r->run_at_ms > r->created_at_ms ? r->run_at_ms : r->created_at_ms;
    draw_token(c);
    if (mem_edit(c->u, row) != 0 || share_worker(c) != 0)
        return -1;
    mem_free(c->u, r->worker.data);
    mem_free(c->u, r->progress.data);
    jobq_row_claim(r, c->want, c->u->m->fence, now);
    r->worker = c->worker;
    row->c.swept = JOBQ_OVERDUE_NONE;
    mem_done(c->u, row);
    if (mem_key_settle(c->u, row, JOBQ_ROW_RUNNING) != 0 || mem_figure(c->u, row->queue, MEM_WAITED, now - since) != 0 ||
        mem_event(c->u, row, JOBQ_ROW_RUNNING) != 0)
        return -1;
    return give(c, row, JOBQ_OVERDUE_NONE);
}

/* A group that is served again must not give again what it gave without a claim. */
static bool was_given(const struct catch *c, const struct mem_row *row)
{
    for (size_t i = 0; c->expired && i < c->count; i++)
        if (c->rows[i].overdue && memcmp(&c->rows[i].id, &row->c.row.id, sizeof row->c.row.id) == 0)
            return true;
    return false;
}

/* Give a row: claimed, or as it is when it is too late for it. */
static int take(struct catch *c, struct mem_row *row, int64_t *starts)
{
    const struct jobq_row *r = &row->c.row;
    if (r->expires_at_ms && r->expires_at_ms <= c->u->now) {
        draw_token(c);
        c->expired++;
        return give(c, row, JOBQ_OVERDUE_EXPIRED);
    }
    ++*starts;
    return claim(c, row);
}

/* Up to `most` rows by rank from one tree; *starts grows with those that were claimed, *given with all. */
static int take_from(struct catch *c, const struct mem_tree *tree, int64_t most, int64_t *given, int64_t *starts)
{
    struct mem_row *next;
    for (struct mem_row *row = mem_queue_next(tree, NULL); row && !c->full && *given < most; row = next) {
        next = mem_queue_next(tree, row);
        if (row->c.row.alone)
            break;
        if (!kind_wanted(c->want, &row->c.row) || was_given(c, row) || !has_room(c, row))
            continue;
        if (take(c, row, starts) != 0)
            return -1;
        ++*given;
    }
    return 0;
}

/* ---- groups in turn ------------------------------------------------------------------------------------------- */

static bool none_without_group(const struct mem_queue *queue)
{
    const struct mem_row *row = mem_queue_next(&queue->ready, NULL);
    return !row || row->c.row.alone;
}

/* The next group with due rows, in the circle; *lane NULL: the rows without a group. false: none has any. */
static bool next_group(const struct mem_queue *queue, const struct jobq_turn *turn, struct mem_lane **lane)
{
    bool after = turn->group.data && !turn->given;
    *lane = turn->group.data ? mem_circle_from(queue, turn->group, after) : NULL;
    if (*lane && (turn->group.size || after))
        return true;
    bool none = none_without_group(queue);
    *lane = none ? mem_circle_from(queue, (struct jobq_bytes){ "", 0 }, false) : NULL;
    return *lane || !none;
}

static int take_turn(struct catch *c, struct mem_queue *queue, struct jobq_turn *turn, struct mem_lane *lane,
                     int64_t most, int64_t *room)
{
    const struct jobq_bytes name = lane ? lane->group->name : (struct jobq_bytes){ "", 0 };
    int64_t can = lane ? mem_lane_room(c->u, lane, &c->u->rate_ms) : INT64_MAX;
    int64_t given = 0, starts = 0;
    can = can < *room ? can : *room;
    if (take_from(c, lane ? &lane->ready : &queue->ready, most < can ? most : can, &given, &starts) != 0)
        return -1;
    *room -= given;
    jobq_turn_gave(turn, name, given, c->want->share, c->full || *room == 0);
    return mem_count_starts(c->u, queue, lane ? lane->group : NULL, starts);
}

static int take_turns(struct catch *c, struct mem_queue *queue, struct jobq_turn *turn, int64_t room)
{
    struct mem_lane *lane;
    jobq_turn_begin(turn, c->want->cursor, queue->name);
    while (!c->full && c->count < c->want->limit && room > 0 && next_group(queue, turn, &lane)) {
        struct jobq_bytes name = lane ? lane->group->name : (struct jobq_bytes){ "", 0 };
        int64_t most = jobq_turn_look(turn, name, c->want->share, &c->want->more);
        if (!most)
            return 0;
        if (take_turn(c, queue, turn, lane, most, &room) != 0)
            return -1;
    }
    return 0;
}

static int take_queue(struct catch *c, struct mem_queue *queue, struct jobq_turn *turn)
{
    int64_t given = 0, starts = 0;
    if (!queue->circle.root && none_without_group(queue))
        return 0; /* no limit holds back what is not there */
    int64_t room = mem_queue_room(c->u, queue, &c->u->rate_ms);
    if (!room)
        return 0;
    if (queue->circle.root)
        return take_turns(c, queue, turn, room);
    if (take_from(c, &queue->ready, room, &given, &starts) != 0)
        return -1;
    return mem_count_starts(c->u, queue, NULL, starts);
}

/* ---- one that runs alone ---------------------------------------------------------------------------------------- */

static int take_alone(struct catch *c, struct mem_queue *queue)
{
    int64_t starts = 0, passed = 0;
    struct mem_row *row = mem_ready_from(queue, true);
    if (!row || !mem_queue_room(c->u, queue, &c->u->rate_ms))
        return 0;
    for (; row; row = mem_queue_next(&queue->ready, row)) {
        if (!kind_wanted(c->want, &row->c.row))
            continue;
        if (row->lane && !mem_lane_room(c->u, row->lane, &c->u->rate_ms)) {
            if (passed++ == ALONE_PASSED_BY)
                return 0;
            continue;
        }
        if (!has_room(c, row))
            return 0;
        c->full = true;
        if (take(c, row, &starts) != 0)
            return -1;
        return mem_count_starts(c->u, queue, row->lane ? row->lane->group : NULL, starts);
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
    const struct jobq_want *want = c->want;
    struct jobq_turn *turns = jobq_arena_alloc(c->u->arena, want->queue_count * sizeof *turns);
    if (!turns || set_due_bits(c) != 0)
        return -1;
    memset(turns, 0, want->queue_count * sizeof *turns);
    for (size_t i = 0; i < want->queue_count && !c->full && c->count < want->limit; i++) {
        struct mem_queue *queue = mem_queue_find(c->u->m, want->queues[i]);
        if (!queue || queue->c.paused || named_before(want, i))
            continue;
        if (want->mode == JOBQ_WANT_ALONE ? take_alone(c, queue) != 0 : take_queue(c, queue, &turns[i]) != 0)
            return -1;
    }
    if (jobq_turn_cursor(c->u->arena, want->cursor, turns, want->queue_count, &c->want->next_cursor) != 0)
        return -1;
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
        if (row->overdue_at > c->u->now || !has_room(c, row))
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
