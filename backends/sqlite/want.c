/* SPDX-License-Identifier: MIT */
/* Taking rows out. First they are read in the order of an index, then each is changed by its number: a statement that
 * would do both at once builds a table of its own for it, which costs more than the claim. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* The answer as it grows. */
struct catch {
    struct turn *t;
    struct jobq_want *want;
    struct jobq_row *rows;
    size_t count, bytes;
    int64_t fence;
    bool full; /* `limit` or `bytes` is reached */
};

struct candidate {
    int64_t n, place, run_at, rank_add;
    int32_t flags;
    int64_t queue;
};

/* What a claim has to know besides the row that is handed out. */
struct taken {
    int64_t n, queue;
    int32_t flags;
    bool calm;      /* neither alarm nor progress */
    bool frees_key; /* perhaps */
};

struct candidates {
    struct candidate *items;
    size_t count, room;
};

static int add(struct jobq_store *s, struct candidates *list, const struct candidate *item)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 128;
        struct candidate *items = realloc(list->items, room * sizeof *items);
        if (!items)
            return sq_fault_memory(s);
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = *item;
    return 0;
}

static size_t at_most(size_t value, size_t most)
{
    return value < most ? value : most;
}

/* Room for one more row of this size? */
static bool has_room(struct catch *c, size_t payload_bytes)
{
    if (c->count >= c->want->limit) {
        c->full = true;
    } else if (c->count && c->want->bytes && payload_bytes > c->want->bytes - at_most(c->bytes, c->want->bytes)) {
        c->full = true;
        c->want->more = 1;
    }
    return !c->full;
}

/* One token for all rows of the want: the caller's random half and a fence that rises, also across stores made anew. */
static int draw_token(struct catch *c)
{
    struct jobq_store *s = c->t->s;
    struct jobq_token *token = &c->want->token;
    if (c->fence)
        return 0;
    c->fence = 1 + (s->clock.fence > s->clock.fence_min ? s->clock.fence : s->clock.fence_min);
    memcpy(token->bytes, c->want->mint, sizeof c->want->mint);
    for (size_t i = 0; i < 8; i++)
        token->bytes[15 - i] = (uint8_t)((uint64_t)c->fence >> 8 * i);
    s->clock.fence = c->fence;
    return sq_run(s, SQL_FENCE_SET, VALUES(number(c->fence)));
}

static struct jobq_row *give(struct catch *c, int overdue)
{
    struct jobq_row *row = &c->rows[c->count++];
    row->overdue = overdue;
    c->bytes += at_most(row->payload_bytes, SIZE_MAX - c->bytes);
    return row;
}

static int make_rows(struct catch *c, size_t count)
{
    c->rows = jobq_arena_alloc(c->t->arena, count * sizeof *c->rows);
    return c->rows ? 0 : sq_fault_memory(c->t->s);
}

/* ---- the due bit ----------------------------------------------------------------------------------------------- */

static int collect_later(struct catch *c, const struct queue *queue, size_t most, struct candidates *list)
{
    struct jobq_store *s = c->t->s;
    sqlite3_stmt *row = sq_start(s, SQL_LATER_LIST,
                                 VALUES(number(list_of(queue->id, LIST_LATER)), number(c->t->now), number((int64_t)most)));
    int more;
    while ((more = sq_step(s, row)) > 0) {
        struct job job = { .n = 0 };
        bool sound = sq_unpack(sq_column_bytes(row, 3), &job);
        struct candidate item = { .n = sqlite3_column_int64(row, 0), .run_at = sqlite3_column_int64(row, 1),
                                  .rank_add = job.row.rank_add_ms, .flags = sqlite3_column_int(row, 2),
                                  .queue = queue->id };
        if (!sound)
            sq_fault_text(s, SQLITE_CORRUPT, "row %lld cannot be read", (long long)item.n);
        if (sound && add(s, list, &item) == 0)
            continue;
        sqlite3_reset(row);
        return -1;
    }
    return more;
}

static int by_time(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int order = (x->run_at > y->run_at) - (x->run_at < y->run_at);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static int set_due(struct catch *c, const struct candidate *item)
{
    struct queue *queue = sq_queue_of(c->t, item->queue);
    int list = item->flags & FLAG_ALONE ? LIST_ALONE : LIST_DUE;
    if (!queue)
        return -1;
    queue->diff[COUNT_LATER]--;
    queue->diff[COUNT_DUE]++;
    return sq_run(c->t->s, SQL_JOB_DUE,
                  VALUES(number(item->n), number(list_of(item->queue, list)),
                         number(jobq_add_ms(item->run_at, item->rank_add))));
}

static int set_due_bits(struct catch *c, const int64_t *queues, size_t queue_count)
{
    struct candidates list = { 0 };
    size_t most = 2 * at_most(c->want->limit, SIZE_MAX / 8) + 64, asked = at_most(most, INT32_MAX);
    int result = 0;
    for (size_t i = 0; i < queue_count && result == 0; i++) {
        const struct queue *queue = sq_queue_loaded(c->t, queues[i]);
        if (!queue)
            result = -1;
        else if (sq_queue_rows(queue, COUNT_LATER) > 0)
            result = collect_later(c, queue, asked + 1, &list);
    }
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, by_time);
    for (size_t i = 0; i < list.count && i < most && result == 0; i++)
        result = set_due(c, &list.items[i]);
    c->want->more = list.count > most;
    free(list.items);
    return result;
}

/* ---- who is due --------------------------------------------------------------------------------------------------- */

/* The queues and kinds that are named, by number; those that do not exist are left out, a queue named twice counts once. */
struct wanted {
    int64_t *queues, *kinds;
    size_t queue_count, kind_count;
    bool any_kind;
};

static bool is_among(int64_t id, const int64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static int find_wanted(struct jobq_store *s, const struct jobq_want *want, struct wanted *out)
{
    *out = (struct wanted){ .any_kind = want->kind_count == 0 };
    out->queues = calloc(want->queue_count + want->kind_count + 1, sizeof *out->queues);
    if (!out->queues)
        return sq_fault_memory(s);
    out->kinds = out->queues + want->queue_count;
    for (size_t i = 0; i < want->queue_count; i++) {
        int64_t id = 0;
        int found = sq_queue_find(s, want->queues[i], &id);
        if (found < 0)
            return -1;
        if (found && !is_among(id, out->queues, out->queue_count))
            out->queues[out->queue_count++] = id;
    }
    for (size_t i = 0; i < want->kind_count; i++) {
        int found = sq_kind_find(s, want->kinds[i], &out->kinds[out->kind_count]);
        if (found < 0)
            return -1;
        out->kind_count += found > 0;
    }
    return 0;
}

static bool kind_wanted(const struct wanted *wanted, int64_t kind)
{
    return wanted->any_kind || is_among(kind, wanted->kinds, wanted->kind_count);
}

static int64_t list_wanted(const struct jobq_want *want, int64_t queue)
{
    return list_of(queue, want->mode == JOBQ_WANT_ALONE ? LIST_ALONE : LIST_DUE);
}

/* 1 there is one, 0, -1. */
static int list_has(struct jobq_store *s, const struct wanted *wanted, int64_t list)
{
    sqlite3_stmt *row = sq_start(s, SQL_DUE_LIST, VALUES(number(list)));
    int more;
    while ((more = sq_step(s, row)) > 0 && !kind_wanted(wanted, sqlite3_column_int64(row, 0)))
        ;
    if (more > 0)
        sqlite3_reset(row);
    return more;
}

/* ---- claiming ---------------------------------------------------------------------------------------------------------- */

static void claim_row(const struct catch *c, struct jobq_row *r, bool alone)
{
    int64_t now = c->t->now;
    r->state = JOBQ_ROW_RUNNING;
    r->due = 0;
    r->attempt += r->attempt < INT64_MAX;
    r->token = c->want->token;
    r->fence = c->fence;
    r->outcome = JOBQ_OUTCOME_NONE;
    r->resumed = 0;
    r->ran_alone = alone;
    r->started_at_ms = now;
    r->stop_at_ms = r->timeout_ms > 0 ? jobq_add_ms(now, r->timeout_ms) : 0;
    r->lease_until_ms = 0;
    r->lease_until_ms = sq_lease_end(r, now, c->want->lease_ms);
    r->progress = (struct jobq_bytes){ 0 };
}

static int note_claim(struct catch *c, const struct jobq_row *r, int64_t queue)
{
    int64_t since = r->run_at_ms > r->created_at_ms ? r->run_at_ms : r->created_at_ms, kind = 0;
    if (sq_figures_waited(c->t, queue, since) != 0)
        return -1;
    if (!c->t->s->clock.events)
        return 0;
    return sq_kind_find(c->t->s, r->kind, &kind) < 0 ? -1 : sq_event(c->t, r, queue, kind, JOBQ_ROW_RUNNING);
}

static int claim(struct catch *c, struct jobq_row *r, const struct taken *taken, bool alone)
{
    struct jobq_store *s = c->t->s;
    struct queue *queue = sq_queue_of(c->t, taken->queue);
    int32_t flags = taken->flags & ~(FLAG_RESUMED | FLAG_RAN_ALONE | FLAG_SWEPT_LEASE | FLAG_SWEPT_TIMEOUT);
    struct job job;
    if (!queue)
        return -1;
    queue->diff[COUNT_DUE]--;
    queue->diff[COUNT_RUNNING]++;
    claim_row(c, r, alone);
    if (jobq_arena_bytes(c->t->arena, c->want->worker.data, c->want->worker.size, &r->worker) != 0)
        return sq_fault_memory(s);
    if (sq_run(s, SQL_JOB_CLAIM,
               VALUES(number(taken->n), blob(r->token.bytes, sizeof r->token), bytes(c->want->worker),
                      number(r->started_at_ms), instant(r->stop_at_ms), number(r->lease_until_ms), number(r->attempt),
                      number(flags_with(flags | (alone ? FLAG_RAN_ALONE : 0), JOBQ_OUTCOME_NONE, r->reason)))) != 0)
        return -1;
    if (!taken->calm && sq_run(s, SQL_JOB_CALM, VALUES(number(taken->n))) != 0)
        return -1;
    if (note_claim(c, r, taken->queue) != 0)
        return -1;
    if (!taken->frees_key)
        return 0;
    return sq_job_load(s, taken->n, &job) <= 0 ? -1 : sq_key_settle(c->t, &job, JOBQ_ROW_RUNNING);
}

static bool has_expired(const struct catch *c, const struct jobq_row *r)
{
    return r->expires_at_ms && r->expires_at_ms <= c->t->now;
}

/* A row claimed by itself by a process that holds no other ran alone. */
static int claim_taken(struct catch *c, const struct taken *taken)
{
    size_t fresh = 0;
    for (size_t i = 0; i < c->count; i++)
        fresh += !has_expired(c, &c->rows[i]);
    if (c->count && draw_token(c) != 0)
        return -1;
    for (size_t i = 0; i < c->count; i++) {
        struct jobq_row *r = &c->rows[i];
        if (has_expired(c, r))
            r->overdue = JOBQ_OVERDUE_EXPIRED;
        else if (claim(c, r, &taken[i], fresh == 1 && !c->want->others) != 0)
            return -1;
    }
    return 0;
}

/* ---- reading what is to be claimed ------------------------------------------------------------------------------------- */

static int grow(struct catch *c, struct taken **taken, size_t *room)
{
    if (c->count < *room)
        return 0;
    size_t wanted = *room ? 2 * *room : 64;
    struct jobq_row *rows = jobq_arena_alloc(c->t->arena, wanted * sizeof *rows);
    struct taken *more = realloc(*taken, wanted * sizeof *more);
    if (more)
        *taken = more;
    if (!rows || !more)
        return sq_fault_memory(c->t->s);
    if (c->count)
        memcpy(rows, c->rows, c->count * sizeof *rows);
    c->rows = rows;
    *room = wanted;
    return 0;
}

static int take_row(struct catch *c, sqlite3_stmt *row, struct taken **taken, size_t *room)
{
    struct job job;
    if (grow(c, taken, room) != 0)
        return -1;
    struct jobq_row *r = &c->rows[c->count];
    if (sq_view_here(c->t->s, c->t->arena, row, r, &job) != 0)
        return -1;
    if (!has_room(c, r->payload_bytes))
        return 0;
    (*taken)[c->count] = (struct taken){ .n = job.n, .queue = job.queue, .flags = job.flags,
                                         .calm = !r->progress.data && !sq_row_alarm(&job),
                                         .frees_key = job.has_key && job.key.hold != JOBQ_HOLD_LIVE };
    give(c, JOBQ_OVERDUE_NONE);
    return 0;
}

static int take_from(struct catch *c, const struct wanted *wanted, int64_t list, size_t most, struct taken **taken,
                     size_t *room)
{
    struct jobq_store *s = c->t->s;
    sqlite3_stmt *row = sq_start(s, SQL_DUE_ROWS,
                                 VALUES(number(list), wanted->kind_count == 1 ? number(wanted->kinds[0]) : nothing()));
    int more = 0, result = 0;
    while (!c->full && c->count < most && result == 0 && (more = sq_step(s, row)) > 0)
        if (kind_wanted(wanted, sqlite3_column_int64(row, ROW_KIND)))
            result = take_row(c, row, taken, room);
    if (row)
        sqlite3_reset(row);
    return more < 0 ? -1 : result;
}

static int take_queues(struct catch *c, const struct wanted *wanted, struct taken **taken)
{
    size_t most = c->want->mode == JOBQ_WANT_ALONE ? at_most(c->want->limit, 1) : c->want->limit, room = 0;
    if (!wanted->any_kind && !wanted->kind_count)
        return 0;
    for (size_t i = 0; i < wanted->queue_count && c->count < most && !c->full; i++) {
        const struct queue *queue = sq_queue_loaded(c->t, wanted->queues[i]);
        if (!queue)
            return -1;
        if (queue->now.paused || sq_queue_rows(queue, COUNT_DUE) <= 0)
            continue;
        if (take_from(c, wanted, list_wanted(c->want, queue->id), most, taken, &room) != 0)
            return -1;
    }
    return 0;
}

static int take_due(struct catch *c)
{
    struct wanted wanted;
    struct taken *taken = NULL;
    int result = find_wanted(c->t->s, c->want, &wanted);
    if (result == 0)
        result = set_due_bits(c, wanted.queues, wanted.queue_count);
    if (result == 0)
        result = take_queues(c, &wanted, &taken);
    if (result == 0)
        result = claim_taken(c, taken);
    free(taken);
    free(wanted.queues);
    return result;
}

/* ---- overdue --------------------------------------------------------------------------------------------------------------- */

static int reason_of(const struct job *job, int64_t now)
{
    const struct jobq_row *r = &job->row;
    if (r->state == JOBQ_ROW_RUNNING) {
        if (job->flags & (FLAG_SWEPT_LEASE | FLAG_SWEPT_TIMEOUT))
            return job->flags & FLAG_SWEPT_LEASE ? JOBQ_OVERDUE_LEASE : JOBQ_OVERDUE_TIMEOUT;
        return r->stop_at_ms && r->stop_at_ms <= now ? JOBQ_OVERDUE_TIMEOUT : JOBQ_OVERDUE_LEASE;
    }
    if (sq_is_ended(r->state))
        return JOBQ_OVERDUE_EDGES;
    bool late = r->state == JOBQ_ROW_BLOCKED && r->reason == JOBQ_REASON_CALLBACK && r->callback_until_ms &&
                r->callback_until_ms <= now;
    return late ? JOBQ_OVERDUE_CALLBACK : JOBQ_OVERDUE_EXPIRED;
}

static int give_as_is(struct catch *c, int64_t n, int reason)
{
    if (sq_view_row(c->t->s, c->t->arena, n, JOBQ_READ_PAYLOAD, &c->rows[c->count], NULL) <= 0)
        return -1;
    give(c, reason);
    return draw_token(c);
}

static int sweep(struct catch *c, const struct job *job, int reason)
{
    struct jobq_token *token = &c->want->token;
    int32_t flags = job->flags | (reason == JOBQ_OVERDUE_LEASE ? FLAG_SWEPT_LEASE : FLAG_SWEPT_TIMEOUT);
    if (draw_token(c) != 0)
        return -1;
    if (sq_run(c->t->s, SQL_JOB_SWEEP,
               VALUES(number(job->n), blob(token->bytes, sizeof *token),
                      number(jobq_add_ms(c->t->now, c->want->lease_ms)),
                      number(flags_with(flags, JOBQ_OUTCOME_NONE, job->row.reason)))) != 0)
        return -1;
    return give_as_is(c, job->n, reason);
}

static int give_edges(struct catch *c, struct job *job)
{
    bool more = false;
    size_t count;
    struct jobq_edge *children = jobq_arena_alloc(c->t->arena, EDGES_AT_ONCE * sizeof *children);
    if (!children)
        return sq_fault_memory(c->t->s);
    if (sq_edges_resolve(c->t, job, &more) != 0)
        return -1;
    c->want->more |= more;
    if (sq_edges_undecided(c->t, job, children, &count) != 0)
        return -1;
    if (!count)
        return 0;
    if (give_as_is(c, job->n, JOBQ_OVERDUE_EDGES) != 0)
        return -1;
    c->rows[c->count - 1].children = children;
    c->rows[c->count - 1].child_count = count;
    return 0;
}

static int collect_overdue(struct jobq_store *s, int64_t now, size_t most, struct candidates *list)
{
    sqlite3_stmt *row = sq_start(s, SQL_OVERDUE_LIST, VALUES(number(now), number((int64_t)most)));
    int more;
    while ((more = sq_step(s, row)) > 0) {
        struct candidate item = { .n = sqlite3_column_int64(row, 1) };
        if (add(s, list, &item) == 0)
            continue;
        sqlite3_reset(row);
        return -1;
    }
    return more;
}

static int take_late(struct catch *c, const struct candidates *list)
{
    size_t looked_at = 0; /* ended rows; most of them need no decision and are not given */
    if (make_rows(c, at_most(list->count, c->want->limit)) != 0)
        return -1;
    for (size_t i = 0; i < list->count; i++) {
        struct job job;
        if (sq_job_load(c->t->s, list->items[i].n, &job) <= 0)
            return -1;
        if (!has_room(c, job.row.payload_bytes))
            break;
        int reason = reason_of(&job, c->t->now), result;
        if (reason == JOBQ_OVERDUE_EDGES && looked_at++ == c->want->limit) {
            c->want->more = 1;
            break;
        }
        if (reason == JOBQ_OVERDUE_EDGES)
            result = give_edges(c, &job);
        else if (job.row.state == JOBQ_ROW_RUNNING)
            result = sweep(c, &job, reason);
        else
            result = give_as_is(c, job.n, reason);
        if (result != 0)
            return -1;
    }
    return 0;
}

static int take_overdue(struct catch *c)
{
    struct candidates list = { 0 };
    size_t most = 2 * at_most(c->want->limit, INT32_MAX / 2) + 1;
    int result = collect_overdue(c->t->s, c->t->now, most, &list);
    if (result == 0)
        result = take_late(c, &list);
    free(list.items);
    return result;
}

/* ---- the want ----------------------------------------------------------------------------------------------------------------- */

void sq_want_clear(struct jobq_want *want)
{
    want->token = (struct jobq_token){ 0 };
    want->rows = NULL;
    want->row_count = 0;
    want->more = 0;
    want->next_cursor = (struct jobq_bytes){ 0 };
    want->schedules = NULL;
    want->schedule_count = 0;
}

int sq_want_run(struct turn *t, struct jobq_want *want)
{
    struct catch c = { .t = t, .want = want };
    sq_want_clear(want);
    if ((want->mode == JOBQ_WANT_OVERDUE ? take_overdue(&c) : take_due(&c)) != 0)
        return -1;
    want->rows = c.rows;
    want->row_count = c.count;
    return want->mode == JOBQ_WANT_OVERDUE ? sq_schedules_due(t, want) : 0;
}

static int queue_has(struct jobq_store *s, const struct jobq_want *want, const struct wanted *wanted, int64_t queue,
                     int64_t now)
{
    struct queue_settings settings;
    int64_t later;
    if (sq_queue_settings(s, queue, &settings) != 0)
        return -1;
    int found = 0;
    if (settings.count[COUNT_LATER] > 0)
        found = sq_number(s, SQL_LATER_FIRST, &later, VALUES(number(list_of(queue, LIST_LATER))));
    if (found < 0 || (found > 0 && later <= now))
        return found;
    if (settings.paused || settings.count[COUNT_DUE] <= 0)
        return 0;
    return list_has(s, wanted, list_wanted(want, queue));
}

/* Is there anything to take? Asked by a plain read, so that who finds nothing never asks for the write lock. */
int sq_want_possible(struct jobq_store *s, const struct jobq_want *want, int64_t now)
{
    struct wanted wanted;
    int64_t first;
    if (want->mode == JOBQ_WANT_OVERDUE) {
        int found = sq_number(s, SQL_OVERDUE_FIRST, &first, NULL, 0);
        if (found < 0 || (found && first <= now))
            return found;
        return sq_schedules_possible(s);
    }
    int result = find_wanted(s, want, &wanted);
    for (size_t i = 0; i < wanted.queue_count && result == 0; i++)
        result = queue_has(s, want, &wanted, wanted.queues[i], now);
    free(wanted.queues);
    return result;
}

int sq_next_due(struct jobq_store *s, int64_t now, int64_t *out)
{
    int64_t next;
    *out = INT64_MAX;
    const enum sql looks[] = { SQL_NEXT_LEASE, SQL_NEXT_ALARM, SQL_NEXT_RUN };
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        int found = sq_number(s, looks[i], &next, VALUES(number(now)));
        if (found < 0)
            return -1;
        if (found && next < *out)
            *out = next;
    }
    return 0;
}
