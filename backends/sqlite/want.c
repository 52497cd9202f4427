/* SPDX-License-Identifier: MIT */
/* A want: what comes before rows are taken, and whether there are any to take. */
#include "want.h"

#include <stdlib.h>
#include <string.h>

struct candidate {
    int64_t n, run_at, rank_add;
    int32_t flags;
    int64_t queue, lane;
};

struct candidates {
    struct candidate *items;
    size_t count, room;
};

static int add(struct jobq_store *s, struct candidates *list, const struct candidate *item)
{
    struct candidate *items = sq_grow(list->items, list->count, &list->room, sizeof *items);
    if (!items)
        return sq_fault_memory(s);
    list->items = items;
    items[list->count++] = *item;
    return 0;
}

bool sq_want_room(struct catch *c, size_t payload_bytes)
{
    if (c->count >= c->want->limit) {
        c->full = true;
    } else if (c->count && c->want->bytes && payload_bytes > c->want->bytes - at_most(c->bytes, c->want->bytes)) {
        c->full = true;
        c->want->more = 1;
    }
    return !c->full;
}

/* So many are taken from the store by one write. Nobody else draws one between them: when others have committed, or this
 * handle was undone, it reads the store's again, which is behind all of these. Few, for they may not outrun the clock. */
#define FENCES_AT_ONCE 16

/* One token for all rows of the want: the caller's random half and a fence that rises, also across stores made anew. */
int sq_want_token(struct catch *c)
{
    struct jobq_store *s = c->t->s;
    struct jobq_token *token = &c->want->token;
    if (c->fence)
        return 0;
    c->fence = 1 + (s->clock.fence > s->clock.fence_min ? s->clock.fence : s->clock.fence_min);
    memcpy(token->bytes, c->want->mint, sizeof c->want->mint);
    if (JOBQ_MUTANT(4)) {
        memset(token, 0, sizeof *token);
        memcpy(token->bytes, c->want->worker.data, at_most(c->want->worker.size, sizeof *token));
        return 0;
    }
    for (size_t i = 0; i < 8; i++)
        token->bytes[15 - i] = (uint8_t)((uint64_t)c->fence >> 8 * i);
    s->clock.fence = c->fence;
    if (c->fence <= s->clock.fence_taken)
        return 0;
    s->clock.fence_taken = c->fence + FENCES_AT_ONCE - 1;
    return sq_run(s, SQL_FENCE_SET, VALUES(number(s->clock.fence_taken)));
}

struct jobq_row *sq_want_give(struct catch *c, int overdue)
{
    struct jobq_row *row = &c->rows[c->count++];
    row->overdue = overdue;
    c->bytes += at_most(row->payload_bytes, SIZE_MAX - c->bytes);
    return row;
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
                                  .queue = queue->id, .lane = sqlite3_column_int64(row, 4) };
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
    const struct job job = { .queue = item->queue, .lane = item->lane,
                             .row = { .state = JOBQ_ROW_WAITING, .due = 1, .alone = (item->flags & FLAG_ALONE) != 0 } };
    int64_t list = sq_job_list(&job);
    int64_t place = jobq_add_ms(item->run_at, item->rank_add);
    if (!queue || (list < 0 && sq_lane_ready(c->t, item->lane, place, item->n) != 0))
        return -1;
    queue->diff[COUNT_LATER]--;
    queue->diff[COUNT_DUE]++;
    sq_front_meets(queue, list, place, item->n);
    return sq_run(c->t->s, SQL_JOB_DUE, VALUES(number(item->n), number(list), number(place)));
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

bool sq_kind_wanted(const struct wanted *wanted, int64_t kind)
{
    return wanted->any_kind || is_among(kind, wanted->kinds, wanted->kind_count);
}

int64_t sq_list_wanted(const struct jobq_want *want, int64_t queue)
{
    return list_of(queue, want->mode == JOBQ_WANT_ALONE ? LIST_ALONE : LIST_DUE);
}

/* ---- a walk along a list ---------------------------------------------------------------------------------------- */

static int jump(struct walk *w, int64_t place, int64_t last)
{
    w->place = place;
    w->n = last;
    w->behind = true;
    return 1;
}

/* Along a lane there are members only before its front, and they are looked for only when something else may be there. */
static int jumps_in_lane(struct jobq_store *s, struct walk *w, int64_t place, int64_t n)
{
    struct batch b;
    if (!w->early || place > w->front_place || (place == w->front_place && n > w->front_n))
        return 0;
    int found = sq_batch_find(s, w->line, place, n, &b);
    if (found <= 0)
        return found;
    if (++w->at == BATCH_PASSED_MOST + 1 && s->long_walks < LONG_WALKS_OFTEN)
        s->long_walks += 4;
    return jump(w, place, b.last);
}

int sq_walk_jumps(struct jobq_store *s, struct walk *w, int64_t place, int64_t n)
{
    if (w->list < 0)
        return jumps_in_lane(s, w, place, n);
    const struct stretch *p = w->passed, *end = p + w->count;
    for (p += w->at; p < end && (p->place < place || (p->place == place && p->last < n)); p++)
        ;
    w->at = (size_t)(p - w->passed);
    if (p == end || p->place != place || p->first > n)
        return 0;
    while (p + 1 < end && p[1].place == place && p[1].first == p->last + 1)
        p++;
    return jump(w, place, p->last);
}

bool sq_walk_goes_on(struct walk *w)
{
    bool goes_on = w->behind && w->place < INT64_MAX;
    w->place += goes_on;
    w->behind = false;
    return goes_on;
}

/* 1 it has, and the walk stands on it; 0 it has not, 2 the walk goes on behind a batch, -1. */
static int stretch_has(struct jobq_store *s, const struct wanted *wanted, struct walk *w)
{
    sqlite3_stmt *row = w->behind ? sq_start(s, SQL_DUE_LIST_SAME, VALUES(number(w->list), number(w->place), number(w->n)))
                                  : sq_start(s, SQL_DUE_LIST, VALUES(number(w->list), number(w->place)));
    int more;
    while ((more = sq_step(s, row)) > 0) {
        int64_t place = sqlite3_column_int64(row, 1), n = sqlite3_column_int64(row, 2);
        int jumps = sq_walk_jumps(s, w, place, n);
        if (jumps) {
            more = jumps < 0 ? -1 : 2;
        } else if (wanted && !sq_kind_wanted(wanted, sqlite3_column_int64(row, 0))) {
            continue;
        } else {
            w->place = place;
            w->n = n;
        }
        sqlite3_reset(row);
        return more;
    }
    return more == 0 && sq_walk_goes_on(w) ? 2 : more;
}

static int load_passed(struct jobq_store *s, struct walk *w, sqlite3_stmt *row)
{
    int more;
    while ((more = sq_step(s, row)) > 0) {
        struct stretch *passed = sq_grow(w->passed, w->count, &w->room, sizeof *passed);
        if (!passed) {
            sqlite3_reset(row);
            return sq_fault_memory(s);
        }
        w->passed = passed;
        passed[w->count++] = (struct stretch){ sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
                                               sqlite3_column_int64(row, 2) };
    }
    return more;
}

static int load_behind(struct jobq_store *s, struct walk *w)
{
    struct value queue = number(w->list / 16);
    if (w->behind &&
        load_passed(s, w, sq_start(s, SQL_BATCH_PASSED_SAME, VALUES(queue, number(w->place), number(w->n)))) != 0)
        return -1;
    if (w->behind && w->place == INT64_MAX)
        return 0;
    return load_passed(s, w, sq_start(s, SQL_BATCH_PASSED, VALUES(queue, number(w->place + w->behind))));
}

static void stand_at(struct walk *w, const struct front *front)
{
    w->place = front->place;
    w->n = front->n;
    w->behind = front->behind;
}

/* Up to the first row that is in no batch, of whatever kind: that is the front. */
static int move_front(struct jobq_store *s, struct walk *w, struct front *front)
{
    int found = 2;
    while (found == 2) {
        *front = (struct front){ .epoch = s->epoch, .place = w->place, .n = w->n, .behind = w->behind };
        found = stretch_has(s, NULL, w);
    }
    stand_at(w, front);
    return found < 0 ? -1 : 0;
}

/* From the front of a lane on, or from where something may wait before it. */
static int begin_in_lane(struct jobq_store *s, struct walk *w)
{
    sqlite3_stmt *row = sq_start(s, SQL_LANE_FRONT, VALUES(number(-w->list)));
    int found = sq_step(s, row);
    if (found <= 0)
        return found;
    w->line = -sqlite3_column_int64(row, 0);
    w->place = w->front_place = sqlite3_column_int64(row, 1);
    w->n = w->front_n = sqlite3_column_int64(row, 2);
    w->early = sqlite3_column_type(row, 3) != SQLITE_NULL;
    w->behind = !w->early;
    if (w->early)
        w->place = sqlite3_column_int64(row, 3);
    sqlite3_reset(row);
    return 0;
}

/* Rows of batches stand in due lists and lanes only, and there they stay. */
int sq_walk_begin(struct jobq_store *s, struct walk *w, int64_t list)
{
    *w = (struct walk){ .list = list, .place = INT64_MIN };
    if (list < 0)
        return begin_in_lane(s, w);
    if (!s->clock.batches || list % 16 != LIST_DUE)
        return 0;
    struct queue *queue = sq_queue_slot(s, list / 16);
    if (!queue)
        return -1;
    if (queue->front.epoch == s->epoch)
        stand_at(w, &queue->front);
    if (load_behind(s, w) != 0)
        return -1;
    if (w->count > BATCH_PASSED_MOST && s->long_walks < LONG_WALKS_OFTEN)
        s->long_walks += 4;
    return move_front(s, w, &queue->front);
}

void sq_front_meets(struct queue *queue, int64_t list, int64_t place, int64_t n)
{
    struct front *front = &queue->front;
    bool before = place < front->place || (front->behind && place == front->place && n <= front->n);
    if (!before || list != list_of(queue->id, LIST_DUE))
        return;
    front->place = place;
    front->n = n - 1;
    front->behind = true;
}

static int walk_to_first(struct jobq_store *s, const struct wanted *wanted, int64_t list, struct walk *w)
{
    int found = sq_walk_begin(s, w, list) != 0 ? -1 : 2;
    while (found == 2)
        found = stretch_has(s, wanted, w);
    free(w->passed);
    return found;
}

int sq_list_has(struct jobq_store *s, const struct wanted *wanted, int64_t list)
{
    struct walk walk;
    return walk_to_first(s, wanted, list, &walk);
}

int sq_list_first(struct jobq_store *s, int64_t list, int64_t *place, int64_t *n)
{
    struct walk walk;
    int found = walk_to_first(s, NULL, list, &walk);
    *place = walk.place;
    *n = walk.n;
    return found;
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

static int take_due(struct catch *c)
{
    struct wanted wanted;
    int result = find_wanted(c->t->s, c->want, &wanted);
    if (result == 0)
        result = set_due_bits(c, wanted.queues, wanted.queue_count);
    if (result == 0)
        result = sq_take_due(c, &wanted);
    free(c->taken);
    free(wanted.queues);
    return result;
}

int sq_want_run(struct turn *t, struct jobq_want *want)
{
    struct catch c = { .t = t, .want = want };
    sq_want_clear(want);
    if ((want->mode == JOBQ_WANT_OVERDUE ? !JOBQ_MUTANT(8) && sq_take_overdue(&c) : take_due(&c)) != 0)
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
    if (settings.paused || settings.count[COUNT_DUE] <= 0 ||
        (settings.concurrency >= 0 && settings.count[COUNT_RUNNING] >= settings.concurrency))
        return 0;
    /* What a limit holds back, and until when, and which groups have run empty, is found by the want itself. */
    bool grouped = settings.grouped && want->mode == JOBQ_WANT_DUE;
    found = sq_list_has(s, settings.rate >= 0 || grouped ? NULL : wanted, sq_list_wanted(want, queue));
    if (found == 0 && grouped)
        found = sq_number(s, SQL_LANE_NEXT, &later, VALUES(number(queue), blob("", 0), number(0)));
    return found;
}

/* Is there anything to take? Asked by a plain read, so that who finds nothing never asks for the write lock. */
int sq_want_possible(struct jobq_store *s, const struct jobq_want *want, int64_t now)
{
    struct wanted wanted;
    int64_t first;
    if (want->mode == JOBQ_WANT_OVERDUE) {
        struct batch late;
        int found = sq_number(s, SQL_OVERDUE_FIRST, &first, NULL, 0);
        if (found < 0 || (found && first <= now))
            return found;
        found = sq_batch_first(s, 0, INT64_MIN, now, &late);
        if (found != 0)
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
    const enum sql looks[] = { SQL_NEXT_LEASE, SQL_NEXT_ALARM, SQL_NEXT_RUN, SQL_BATCH_NEXT };
    size_t count = sizeof looks / sizeof *looks - !s->clock.batches;
    for (size_t i = 0; i < count; i++) {
        int found = sq_number(s, looks[i], &next, VALUES(number(now)));
        if (found < 0)
            return -1;
        if (found && next < *out)
            *out = next;
    }
    return 0;
}
