/* SPDX-License-Identifier: MIT */
/* Taking due rows, by rank or group by group in turn, as far as limits allow. First rows are read in the order of an index,
 * then they are changed by their numbers: a statement that would do both at once builds a table of its own for it, which costs
 * more than the claim. */
#include "want.h"

#include <stdlib.h>
#include <string.h>

#define ALONE_PASSED_BY 64

/* ---- claiming ---------------------------------------------------------------------------------------------------------- */

static void claim_row(const struct catch *c, struct jobq_row *r, bool alone)
{
    int64_t now = c->t->now;
    r->state = JOBQ_ROW_RUNNING;
    r->due = 0;
    r->attempt += !JOBQ_MUTANT(5) && r->attempt < INT64_MAX;
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

/* Flags of an attempt before this one. */
#define FLAGS_PAST (FLAG_RESUMED | FLAG_RAN_ALONE | FLAG_SWEPT_LEASE | FLAG_SWEPT_TIMEOUT)

static int write_claim(const struct catch *c, const struct jobq_row *r, const struct taken *taken)
{
    int32_t flags = (taken->flags & ~FLAGS_PAST) | (r->ran_alone ? FLAG_RAN_ALONE : 0);
    if (sq_run(c->t->s, SQL_JOB_CLAIM,
               VALUES(number(taken->n), blob(r->token.bytes, sizeof r->token), bytes(c->want->worker),
                      number(r->started_at_ms), instant(r->stop_at_ms), number(r->lease_until_ms), number(r->attempt),
                      number(flags_with(flags, JOBQ_OUTCOME_NONE, r->reason)))) != 0)
        return -1;
    return taken->calm ? 0 : sq_run(c->t->s, SQL_JOB_CALM, VALUES(number(taken->n)));
}

/* The next rows, from i on, that one record can claim: so many stand at one place, and nothing is special about them. */
static size_t batch_from(const struct catch *c, size_t i)
{
    const struct taken *first = &c->taken[i];
    size_t count = 0;
    while (i + count < c->count && first[count].plain && !first[count].lane && first[count].place == first->place &&
           first[count].queue == first->queue && first[count].n == first->n + (int64_t)count)
        count++;
    return count < BATCH_LEAST ? 0 : count;
}

/* Of `count` rows that were read, this one and those behind it by number. */
static struct batch batch_of(const struct catch *c, size_t at, size_t count)
{
    const struct jobq_row *r = &c->rows[at];
    const struct taken *taken = &c->taken[at];
    struct batch b = { .line = sq_line_of(taken->queue, taken->lane), .rank = taken->place, .first = taken->n,
                       .last = taken->n + (int64_t)count - 1, .place = r->lease_until_ms, .started_at = r->started_at_ms,
                       .token = r->token, .flags = FLAG_RISES | taken->flags,
                       .has_worker = c->want->worker.data != NULL, .worker_size = c->want->worker.size };
    if (b.worker_size > sizeof b.worker)
        b.worker_size = sizeof b.worker;
    if (b.worker_size)
        memcpy(b.worker, c->want->worker.data, b.worker_size);
    return b;
}

/* The row with the next number. */
static void join(const struct catch *c, struct batch *b, size_t before, size_t at)
{
    b->flags |= c->taken[at].flags;
    if (memcmp(&c->rows[before].id, &c->rows[at].id, sizeof c->rows->id) >= 0)
        b->flags &= ~FLAG_RISES;
}

static void hold(const struct catch *c, size_t at)
{
    const struct taken *taken = &c->taken[at];
    const struct held_row row = { .id = c->rows[at].id, .n = taken->n, .line = sq_line_of(taken->queue, taken->lane),
                                  .rank = taken->place, .lane = taken->lane };
    sq_batch_hold(c->t->s, &c->rows[at].token, &row);
}

/* The next `count` rows, of no group. */
static int begin_batch(const struct catch *c, size_t count)
{
    struct batch b = batch_of(c, c->settled, count);
    for (size_t i = 1; i < count; i++)
        join(c, &b, c->settled + i - 1, c->settled + i);
    for (size_t i = 0; i < count; i++)
        hold(c, c->settled + i);
    return sq_batch_begin(c->t, &b);
}

static int write_run(const struct catch *c, const struct jobq_row *r, int64_t first, int64_t last)
{
    const int32_t stay = ~(FLAGS_PAST | 15 << FLAGS_OUTCOME_SHIFT);
    return sq_run(c->t->s, SQL_JOB_CLAIM_RUN,
                  VALUES(number(first), number(last), blob(r->token.bytes, sizeof r->token), bytes(c->want->worker),
                         number(r->started_at_ms), number(r->lease_until_ms), number(JOBQ_MUTANT(5) ? 0 : INT64_MAX),
                         number(stay), number(r->ran_alone ? FLAG_RAN_ALONE : 0)));
}

static int write_claims(const struct catch *c, const struct jobq_row *r, const struct taken *taken, size_t count)
{
    return count == 1 ? write_claim(c, r, taken) : write_run(c, r, taken->n, taken->n + (int64_t)count - 1);
}

static int note(struct catch *c, const struct jobq_row *r, const struct taken *taken)
{
    struct job job;
    struct queue *queue = sq_queue_of(c->t, taken->queue);
    if (!queue || note_claim(c, r, taken->queue) != 0)
        return -1;
    queue->diff[COUNT_DUE]--;
    queue->diff[COUNT_RUNNING]++;
    queue->claimed = true;
    if (!taken->frees_key)
        return 0;
    return sq_job_load(c->t->s, taken->n, &job) <= 0 ? -1 : sq_key_settle(c->t, &job, JOBQ_ROW_RUNNING);
}

static int claim_rows(const struct catch *c, struct jobq_row *rows, size_t count, bool alone)
{
    for (size_t i = 0; i < count; i++) {
        claim_row(c, &rows[i], alone);
        if (jobq_arena_bytes(c->t->arena, c->want->worker.data, c->want->worker.size, &rows[i].worker) != 0)
            return sq_fault_memory(c->t->s);
    }
    return 0;
}

/* The next `count` rows, by one statement. */
static int claim(struct catch *c, size_t count, bool alone)
{
    struct jobq_row *rows = &c->rows[c->settled];
    const struct taken *taken = &c->taken[c->settled];
    if (claim_rows(c, rows, count, alone) != 0)
        return -1;
    bool batch = count >= BATCH_LEAST && batch_from(c, c->settled) == count;
    if ((batch ? begin_batch(c, count) : write_claims(c, rows, taken, count)) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (note(c, &rows[i], &taken[i]) != 0)
            return -1;
    return 0;
}

static bool has_expired(const struct catch *c, const struct jobq_row *r)
{
    return r->expires_at_ms && r->expires_at_ms <= c->t->now;
}

/* How many of the rows from this one on are claims? */
static size_t starts_from(const struct catch *c, size_t first)
{
    size_t starts = 0;
    for (size_t i = first; i < c->count; i++)
        starts += !has_expired(c, &c->rows[i]);
    return starts;
}

/* Does a claim change this row as it changes others? */
static bool is_alike(const struct catch *c, size_t i)
{
    return c->taken[i].calm && !c->taken[i].frees_key && c->rows[i].timeout_ms <= 0 && !has_expired(c, &c->rows[i]);
}

/* Not in the middle of what would have been one had it begun earlier: there were too few of it. */
static bool begins_batch(const struct catch *c, size_t i)
{
    const struct taken *row = &c->taken[i];
    return !(row[-1].plain && row[-1].place == row->place) && batch_from(c, i);
}

/* How many of the next rows one statement can claim: what came together has numbers that follow each other. */
static size_t next_run(const struct catch *c)
{
    size_t i = c->settled + 1, batch = batch_from(c, c->settled);
    if (batch)
        return batch;
    if (is_alike(c, c->settled))
        while (i < c->count && is_alike(c, i) && c->taken[i].n == c->taken[i - 1].n + 1 && !begins_batch(c, i))
            i++;
    return i - c->settled;
}

static void give_expired(struct catch *c, struct jobq_row *r)
{
    r->overdue = JOBQ_OVERDUE_EXPIRED;
    c->expired++;
}

/* What was read since the last time is claimed, or given as it is when it is too late for it. */
static int settle(struct catch *c, bool alone)
{
    if (c->settled < c->count && sq_want_token(c) != 0)
        return -1;
    for (size_t run; c->settled < c->count; c->settled += run) {
        struct jobq_row *r = &c->rows[c->settled];
        run = next_run(c);
        if (has_expired(c, r))
            give_expired(c, r);
        else if (claim(c, run, alone) != 0)
            return -1;
    }
    return 0;
}

/* Rows that were taken in turn, by where they stand: what came together stands apart in the turns. */
struct stand {
    int64_t place, n;
    size_t at; /* among those that were taken */
};

static int by_stand(const void *a, const void *b)
{
    const struct stand *x = a, *y = b;
    int order = (x->place > y->place) - (x->place < y->place);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* The next of them that one record can claim. */
static size_t record_from(const struct catch *c, const struct stand *stands, size_t count)
{
    const struct taken *first = &c->taken[stands->at];
    size_t rows = 0;
    while (rows < count && c->taken[stands[rows].at].plain && stands[rows].place == stands->place &&
           stands[rows].n == stands->n + (int64_t)rows && !c->taken[stands[rows].at].lane == !first->lane)
        rows++;
    return rows < BATCH_LEAST ? 0 : rows;
}

/* The next of them that one statement can claim as rows. */
static size_t run_from(const struct catch *c, const struct stand *stands, size_t count)
{
    size_t rows = 1;
    while (rows < count && stands[rows].n == stands->n + (int64_t)rows && !record_from(c, &stands[rows], count - rows))
        rows++;
    return rows;
}

static int begin_record(const struct catch *c, const struct stand *stands, size_t count)
{
    struct batch b = batch_of(c, stands->at, count);
    int64_t *lanes = jobq_arena_alloc(c->t->arena, count * sizeof *lanes);
    if (!lanes)
        return sq_fault_memory(c->t->s);
    for (size_t i = 0; i < count; i++) {
        if (i)
            join(c, &b, stands[i - 1].at, stands[i].at);
        c->taken[stands[i].at].held = true;
        lanes[i] = c->taken[stands[i].at].lane;
    }
    if (sq_batch_begin(c->t, &b) != 0)
        return -1;
    return b.line < 0 ? sq_lanes_take(c->t, &b, lanes, count) : 0;
}

static int write_rows(const struct catch *c, const struct stand *stands, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sq_lane_run(c->t, c->taken[stands[i].at].lane, 1) != 0)
            return -1;
    return write_run(c, &c->rows[stands->at], stands->n, stands[count - 1].n);
}

/* The front of a lane may only go forward: so records begin in the order in which their rows stand. */
static int write_turns(const struct catch *c, struct stand *stands, size_t count)
{
    qsort(stands, count, sizeof *stands, by_stand);
    for (size_t i = 0, rows; i < count; i += rows) {
        bool record = (rows = record_from(c, &stands[i], count - i)) != 0;
        if (!record)
            rows = run_from(c, &stands[i], count - i);
        if ((record ? begin_record : write_rows)(c, &stands[i], rows) != 0)
            return -1;
    }
    return 0;
}

/* One of those that were taken in turn. 1 it is to be written with others, 0 it is done with, -1. */
static int settle_turn(struct catch *c, bool alone)
{
    struct jobq_row *r = &c->rows[c->settled];
    const struct taken *taken = &c->taken[c->settled];
    if (has_expired(c, r)) {
        give_expired(c, r);
        return 0;
    }
    if (!is_alike(c, c->settled))
        return claim(c, 1, alone) != 0 ? -1 : sq_lane_run(c->t, taken->lane, 1);
    return claim_rows(c, r, 1, alone) != 0 || note(c, r, taken) != 0 ? -1 : 1;
}

/* The same of rows that were taken in turn. */
static int settle_turns(struct catch *c)
{
    bool alone = c->want->limit == 1 && !c->want->others;
    size_t first = c->settled, count = 0;
    if (first == c->count)
        return 0;
    struct stand *stands = jobq_arena_alloc(c->t->arena, (c->count - first) * sizeof *stands);
    if (!stands)
        return sq_fault_memory(c->t->s);
    if (sq_want_token(c) != 0)
        return -1;
    for (; c->settled < c->count; c->settled++) {
        const struct taken *taken = &c->taken[c->settled];
        int more = settle_turn(c, alone);
        if (more < 0)
            return -1;
        if (more)
            stands[count++] = (struct stand){ .place = taken->place, .n = taken->n, .at = c->settled };
    }
    if (write_turns(c, stands, count) != 0)
        return -1;
    for (size_t i = first; i < c->count; i++)
        if (c->taken[i].held)
            hold(c, i);
    return 0;
}

/* A row claimed by itself by a process that holds no other ran alone. Rows taken in turn are claimed before it is known
 * whether there will be another. */
static int settle_rest(struct catch *c)
{
    bool alone = !c->want->others && starts_from(c, 0) == 1;
    if (settle(c, alone) != 0)
        return -1;
    for (size_t i = 0; i < c->count && alone; i++) {
        if (c->rows[i].state != JOBQ_ROW_RUNNING || c->rows[i].ran_alone)
            continue;
        c->rows[i].ran_alone = 1;
        return sq_run(c->t->s, SQL_JOB_MARK, VALUES(number(c->taken[i].n), number(FLAG_RAN_ALONE)));
    }
    return 0;
}

/* ---- reading what is to be claimed ------------------------------------------------------------------------------------- */

static int grow(struct catch *c)
{
    size_t room = c->room;
    struct taken *taken = sq_grow(c->taken, c->count, &room, sizeof *taken);
    if (!taken)
        return sq_fault_memory(c->t->s);
    c->taken = taken;
    if (room == c->room)
        return 0;
    struct jobq_row *rows = jobq_arena_alloc(c->t->arena, room * sizeof *rows);
    if (!rows)
        return sq_fault_memory(c->t->s);
    if (c->count)
        memcpy(rows, c->rows, c->count * sizeof *rows);
    c->rows = rows;
    c->room = room;
    return 0;
}

/* 1 taken, 0 there is no room for it, -1. */
static int take_row(struct catch *c, sqlite3_stmt *row)
{
    struct job job;
    if (grow(c) != 0)
        return -1;
    struct jobq_row *r = &c->rows[c->count];
    if (sq_view_here(c->t->s, c->t->arena, row, r, &job) != 0)
        return -1;
    if (!sq_want_room(c, r->payload_bytes))
        return 0;
    c->taken[c->count] = (struct taken){ .n = job.n, .queue = job.queue, .flags = job.flags,
                                         .lane = job.lane, .place = sqlite3_column_int64(row, ROW_PLACE),
                                         .plain = c->batches && !(job.lane && c->passed) && sq_batch_plain(&job, r),
                                         .calm = !r->progress.data && !sq_row_alarm(&job),
                                         .frees_key = job.has_key && job.key.hold != JOBQ_HOLD_LIVE };
    c->passed |= has_expired(c, r);
    sq_want_give(c, JOBQ_OVERDUE_NONE);
    return 1;
}

/* A group that is served again must not give again what it gave without a claim. */
static bool was_given(const struct catch *c, sqlite3_stmt *row)
{
    struct jobq_bytes id = sq_column_bytes(row, ROW_ID);
    for (size_t i = 0; c->expired && i < c->count; i++)
        if (c->rows[i].overdue && id.size == sizeof c->rows[i].id && memcmp(&c->rows[i].id, id.data, id.size) == 0)
            return true;
    return false;
}

/* Are kinds named, and all of them unknown here? Then there is no need to pass by every row. */
static bool no_kind(const struct wanted *wanted)
{
    return !wanted->any_kind && !wanted->kind_count;
}

static sqlite3_stmt *start_rows(const struct catch *c, const struct wanted *wanted, const struct walk *w)
{
    return sq_start(c->t->s, w->behind ? SQL_DUE_ROWS_SAME : SQL_DUE_ROWS,
                    (const struct value[4]){ number(w->list), wanted->kind_count == 1 ? number(wanted->kinds[0]) : nothing(),
                                             number(w->place), number(w->n) }, 3 + w->behind);
}

/* Up to the next batch. 1 the walk goes on behind it, 0 it is at its end, -1. */
static int take_stretch(struct catch *c, const struct wanted *wanted, struct walk *w, int64_t *most)
{
    sqlite3_stmt *row = start_rows(c, wanted, w);
    int more = row ? 0 : -1, jumps = 0;
    while (!c->full && *most > 0 && (more = sq_step(c->t->s, row)) > 0) {
        jumps = sq_walk_jumps(c->t->s, w, sqlite3_column_int64(row, ROW_PLACE), sqlite3_column_int64(row, ROW_N));
        if (jumps)
            break;
        if (!sq_kind_wanted(wanted, sqlite3_column_int64(row, ROW_KIND)) || was_given(c, row)) {
            c->passed = true;
            continue;
        }
        more = take_row(c, row);
        if (more < 0)
            break;
        *most -= more;
    }
    if (row)
        sqlite3_reset(row);
    if (more < 0 || jumps < 0)
        return -1;
    return jumps || (more == 0 && *most > 0 && !c->full && sq_walk_goes_on(w));
}

/* Up to `most` rows of a list by rank. */
static int take_from(struct catch *c, const struct wanted *wanted, int64_t list, int64_t most)
{
    struct walk walk;
    if (no_kind(wanted))
        return 0;
    int more = sq_walk_begin(c->t->s, &walk, list) != 0 ? -1 : 1;
    c->passed = walk.early || wanted->kind_count == 1;
    while (more > 0)
        more = take_stretch(c, wanted, &walk, &most);
    free(walk.passed);
    return more;
}

/* ---- groups in turn ------------------------------------------------------------------------------------------------------ */

static const struct jobq_bytes no_group = { "", 0 };

static void leave_walk(struct catch *c)
{
    if (c->circle)
        sqlite3_reset(c->circle);
    c->circle = NULL;
}

/* A walk meets each group once, so rows that it met are claimed when it ends: before any group is met again. */
static int end_walk(struct catch *c)
{
    leave_walk(c);
    return settle_turns(c);
}

/* 1 found, 0 there is none, -1. */
static int walk_to(struct catch *c, const struct queue *queue, struct jobq_bytes from, bool after, struct lane *lane)
{
    bool goes_on = c->circle && after && sq_bytes_order(c->stands, from) == 0;
    if (!goes_on && (end_walk(c) != 0 || sq_lane_walk(c->t, queue->id, from, after, &c->circle) != 0))
        return -1;
    int found = sq_lane_step(c->t, c->circle, lane);
    if (found == 0)
        return end_walk(c);
    c->stands = lane->tenant;
    return found;
}

/* The next group with due rows, in the circle; lane->id 0: the rows without a group. 1, 0: none has any, -1. */
static int next_group(struct catch *c, const struct queue *queue, const struct jobq_turn *turn, struct lane *lane)
{
    bool after = turn->group.data && !turn->given;
    int found = turn->group.data ? walk_to(c, queue, turn->group, after, lane) : 0;
    if (found < 0 || (found && (turn->group.size || after)))
        return found;
    int without = end_walk(c) != 0 ? -1 : sq_list_has(c->t->s, NULL, list_of(queue->id, LIST_DUE));
    if (without == 0)
        return walk_to(c, queue, no_group, false, lane);
    *lane = (struct lane){ .tenant = no_group };
    return without;
}

/* Where the walk has read the first row of a group that is nearly always what is taken. 1 it is, 0 it is not, -1. */
static int take_first(struct catch *c, const struct wanted *wanted, const struct lane *lane, int64_t most)
{
    if (most != 1 || !lane->id || !c->circle || was_given(c, c->circle) ||
        sqlite3_column_type(c->circle, ROW_N) == SQLITE_NULL ||
        !sq_kind_wanted(wanted, sqlite3_column_int64(c->circle, ROW_KIND)))
        return 0;
    c->passed = false;
    return take_row(c, c->circle) < 0 ? -1 : 1;
}

static int take_turn(struct catch *c, const struct wanted *wanted, struct queue *queue, struct jobq_turn *turn,
                     const struct lane *lane, int64_t most, int64_t *room)
{
    size_t count = c->count;
    int64_t can = INT64_MAX;
    if (lane->id && sq_lane_room(c->t, queue, lane, &can) != 0)
        return -1;
    can = can < *room ? can : *room;
    most = most < can ? most : can;
    int taken = take_first(c, wanted, lane, most);
    if (taken == 0)
        taken = take_from(c, wanted, lane->id ? -lane->id : list_of(queue->id, LIST_DUE), most);
    if (taken < 0)
        return -1;
    int64_t given = (int64_t)(c->count - count), starts = (int64_t)starts_from(c, count);
    *room -= given;
    jobq_turn_gave(turn, lane->tenant, given, c->want->share, c->full || *room == 0);
    return sq_starts_count(c->t, queue, lane->id ? lane : NULL, starts);
}

static int serve(struct catch *c, const struct wanted *wanted, struct queue *queue, struct jobq_turn *turn,
                 int64_t room)
{
    struct lane lane;
    while (!c->full && c->count < c->want->limit && room > 0) {
        int found = next_group(c, queue, turn, &lane);
        int64_t most = found > 0 ? jobq_turn_look(turn, lane.tenant, c->want->share, &c->want->more) : 0;
        if (!most)
            return found < 0 ? -1 : 0;
        if (take_turn(c, wanted, queue, turn, &lane, most, &room) != 0)
            return -1;
    }
    return 0;
}

/* 1 the queue has a circle, and it was served; 0 it has none, -1. */
static int take_turns(struct catch *c, const struct wanted *wanted, struct queue *queue, struct jobq_turn *turn,
                      int64_t room)
{
    struct lane lane;
    struct jobq_bytes name;
    int found = queue->now.grouped ? sq_lane_next(c->t, queue->id, no_group, false, &lane) : 0;
    if (found <= 0 || sq_queue_text(c->t->s, queue->id, &name) != 0)
        return found <= 0 ? found : -1;
    jobq_turn_begin(turn, c->want->cursor, name);
    if (settle(c, false) != 0 || serve(c, wanted, queue, turn, room) != 0) {
        leave_walk(c);
        return -1;
    }
    return end_walk(c) != 0 ? -1 : 1;
}

/* ---- one that runs alone --------------------------------------------------------------------------------------------------- */

/* Does a limit of its group forbid it? 1, 0, -1. */
static int is_forbidden(struct catch *c, const struct queue *queue, sqlite3_stmt *row, struct lane *lane)
{
    int64_t room;
    *lane = (struct lane){ .id = sqlite3_column_int64(row, ROW_LANE) };
    if (!lane->id)
        return 0;
    if (sq_lane_get(c->t, lane->id, lane) != 0 || sq_lane_room(c->t, queue, lane, &room) != 0)
        return -1;
    return room == 0;
}

/* 1 taken, 0 there is none, -1. */
static int find_alone(struct catch *c, const struct wanted *wanted, const struct queue *queue, struct lane *lane)
{
    int64_t passed = 0;
    int more, taken = 0;
    if (no_kind(wanted))
        return 0;
    const struct walk walk = { .list = list_of(queue->id, LIST_ALONE), .place = INT64_MIN };
    sqlite3_stmt *row = start_rows(c, wanted, &walk);
    while ((more = sq_step(c->t->s, row)) > 0) {
        if (!sq_kind_wanted(wanted, sqlite3_column_int64(row, ROW_KIND)))
            continue;
        int forbidden = is_forbidden(c, queue, row, lane);
        if (forbidden > 0 && passed++ < ALONE_PASSED_BY)
            continue;
        taken = forbidden < 0 ? -1 : forbidden ? 0 : take_row(c, row);
        break;
    }
    if (more > 0)
        sqlite3_reset(row);
    return more < 0 ? -1 : taken;
}

static int take_alone(struct catch *c, const struct wanted *wanted, struct queue *queue)
{
    struct lane lane;
    size_t count = c->count;
    int taken = find_alone(c, wanted, queue, &lane);
    if (taken <= 0)
        return taken;
    c->full = true;
    if (settle(c, !c->want->others) != 0)
        return -1;
    int64_t starts = (int64_t)starts_from(c, count);
    return sq_lane_run(c->t, lane.id, starts) != 0 ? -1 : sq_starts_count(c->t, queue, lane.id ? &lane : NULL, starts);
}

/* ---- the queues -------------------------------------------------------------------------------------------------------------- */

/* Is there anything that a limit could hold back? 1, 0, -1. */
static int has_due(struct catch *c, const struct queue *queue)
{
    struct lane lane;
    int found = sq_list_has(c->t->s, NULL, sq_list_wanted(c->want, queue->id));
    if (found != 0 || c->want->mode == JOBQ_WANT_ALONE || !queue->now.grouped)
        return found;
    return sq_lane_next(c->t, queue->id, no_group, false, &lane);
}

static int take_by_rank(struct catch *c, const struct wanted *wanted, struct queue *queue, int64_t room)
{
    size_t left = c->want->limit - c->count, before = c->count;
    if (take_from(c, wanted, list_of(queue->id, LIST_DUE), (uint64_t)room < left ? room : (int64_t)left) != 0)
        return -1;
    return queue->now.rate < 0 ? 0 : sq_starts_count(c->t, queue, NULL, (int64_t)starts_from(c, before));
}

static int take_queue(struct catch *c, const struct wanted *wanted, struct queue *queue, struct jobq_turn *turn)
{
    int64_t room = INT64_MAX;
    c->batches = c->want->limit >= BATCH_LEAST && !c->t->s->clock.events; /* events tell of each row */
    if (queue->now.paused || sq_queue_rows(queue, COUNT_DUE) <= 0)
        return 0;
    if (queue->now.concurrency >= 0 || queue->now.rate >= 0) {
        int found = has_due(c, queue);
        if (found <= 0 || sq_queue_room(c->t, queue, &room) != 0)
            return found == 0 ? 0 : -1;
    }
    if (!room || c->want->mode == JOBQ_WANT_ALONE)
        return room ? take_alone(c, wanted, queue) : 0;
    int served = take_turns(c, wanted, queue, turn, room);
    return served != 0 ? (served < 0 ? -1 : 0) : take_by_rank(c, wanted, queue, room);
}

int sq_take_due(struct catch *c, const struct wanted *wanted)
{
    struct jobq_want *want = c->want;
    struct jobq_turn *turns = jobq_arena_alloc(c->t->arena, wanted->queue_count * sizeof *turns);
    if (!turns)
        return sq_fault_memory(c->t->s);
    for (size_t i = 0; i < wanted->queue_count; i++)
        turns[i] = (struct jobq_turn){ .given = 0 };
    for (size_t i = 0; i < wanted->queue_count && c->count < want->limit && !c->full; i++) {
        struct queue *queue = sq_queue_loaded(c->t, wanted->queues[i]);
        if (!queue || take_queue(c, wanted, queue, &turns[i]) != 0)
            return -1;
    }
    if (jobq_turn_cursor(c->t->arena, want->cursor, turns, wanted->queue_count, &want->next_cursor) != 0)
        return sq_fault_memory(c->t->s);
    return settle_rest(c);
}
