/* SPDX-License-Identifier: MIT */
/* Batches: what happened to many rows at once stands in one record, and their rows stay as they were put.
 *
 * A worker that takes what came together changes no row of it: the record has the token, the worker and the lease. When it
 * completes them together the record says so, and retention removes them. Whatever else happens to one of them begins with its
 * leaving the batch: the row is written as it would have been without one. So only what reads a row (sq_job_read) and what
 * writes one (sq_job_save and its like) know of batches, beside the ways of a batch itself: claim, beat, end, retention.
 *
 * The rows of a record have numbers that follow each other and one place in the due list, where they still stand. So nothing else
 * is between them there, whatever comes later, and who looks for due rows jumps over them. Rows of groups stand in the lists of
 * their lanes; of a record they may be of many. Each lane keeps its front, up to which its rows are members (the schema). */
#include "store.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum batch_column {
    BATCH_LINE, BATCH_RANK, BATCH_FIRST, BATCH_LAST, BATCH_LIST, BATCH_PLACE, BATCH_FLAGS, BATCH_STARTED_AT, BATCH_TOKEN,
    BATCH_WORKER
};

/* ---- records ----------------------------------------------------------------------------------------------------- */

void sq_batch_read(sqlite3_stmt *row, struct batch *out)
{
    struct jobq_bytes worker = sq_column_bytes(row, BATCH_WORKER);
    out->line = sqlite3_column_int64(row, BATCH_LINE);
    out->rank = sqlite3_column_int64(row, BATCH_RANK);
    out->first = sqlite3_column_int64(row, BATCH_FIRST);
    out->last = sqlite3_column_int64(row, BATCH_LAST);
    out->list = sqlite3_column_int64(row, BATCH_LIST);
    out->place = sqlite3_column_int64(row, BATCH_PLACE);
    out->flags = sqlite3_column_int(row, BATCH_FLAGS);
    out->started_at = sqlite3_column_int64(row, BATCH_STARTED_AT);
    sq_token_read(row, BATCH_TOKEN, &out->token);
    out->has_worker = worker.data != NULL;
    out->worker_size = worker.size < sizeof out->worker ? worker.size : sizeof out->worker;
    if (out->worker_size)
        memcpy(out->worker, worker.data, out->worker_size);
}

static struct jobq_bytes worker_of(const struct batch *b)
{
    return (struct jobq_bytes){ .data = b->has_worker ? b->worker : NULL, .size = b->worker_size };
}

int64_t sq_batch_size(const struct batch *b)
{
    return b->last - b->first + 1;
}

/* What was found last is nearly always asked for next: rows of one batch are ended together. */
int sq_batch_find(struct jobq_store *s, int64_t line, int64_t rank, int64_t n, struct batch *out)
{
    struct batch *last = &s->batch;
    if (!s->clock.batches)
        return 0;
    if (s->batch_epoch != s->epoch || line != last->line || rank != last->rank || n < last->first || n > last->last) {
        sqlite3_stmt *row = sq_start(s, SQL_BATCH_FIND, VALUES(number(line), number(rank), number(n)));
        int found = sq_step(s, row);
        if (found <= 0)
            return found;
        sq_batch_read(row, last);
        sqlite3_reset(row);
        s->batch_epoch = s->epoch;
    }
    if (n > last->last)
        return 0;
    *out = *last;
    return 1;
}

/* 1 found, 0 there is none, -1. */
int sq_batch_first(struct jobq_store *s, int64_t list, int64_t from, int64_t to, struct batch *out)
{
    sqlite3_stmt *row = s->clock.batches ? sq_start(s, SQL_BATCH_FIRST, VALUES(number(list), number(from), number(to))) : NULL;
    int found = row ? sq_step(s, row) : s->clock.batches ? -1 : 0;
    if (found <= 0)
        return found;
    sq_batch_read(row, out);
    sqlite3_reset(row);
    return 1;
}

static int add(struct jobq_store *s, const struct batch *b)
{
    s->batch_epoch = 0;
    s->clock.batches = true;
    return sq_run(s, SQL_BATCH_ADD,
                  VALUES(number(b->line), number(b->rank), number(b->first), number(b->last), number(b->list),
                         number(b->place), number(b->flags), number(b->started_at), blob(b->token.bytes, sizeof b->token),
                         bytes(worker_of(b))));
}

static int span(struct jobq_store *s, const struct batch *b, int64_t first, int64_t last)
{
    return sq_run(s, SQL_BATCH_SPAN,
                  VALUES(number(b->line), number(b->rank), number(b->first), number(first), number(last)));
}

/* The rows first to last are no longer in it. */
static int take_out(struct jobq_store *s, const struct batch *b, int64_t first, int64_t last)
{
    struct batch behind = *b;
    s->batch_epoch = 0;
    if (first == b->first && last == b->last)
        return sq_run(s, SQL_BATCH_DROP, VALUES(number(b->line), number(b->rank), number(b->first)));
    if (first == b->first)
        return span(s, b, last + 1, b->last);
    behind.first = last + 1;
    if (span(s, b, b->first, first - 1) != 0)
        return -1;
    return last == b->last ? 0 : add(s, &behind);
}

/* ---- what a row of a batch is ------------------------------------------------------------------------------------ */

int sq_batch_show(struct jobq_store *s, int64_t rank, struct job *job)
{
    struct jobq_row *r = &job->row;
    struct batch b;
    if (!s->clock.batches || r->state != JOBQ_ROW_WAITING || !r->due || r->alone || r->attempt)
        return 0;
    int found = sq_batch_find(s, sq_line_of(job->queue, job->lane), rank, job->n, &b);
    if (found <= 0)
        return found;
    job->member = true;
    job->rank = rank;
    r->state = b.list ? JOBQ_ROW_COMPLETED : JOBQ_ROW_RUNNING;
    r->due = 0;
    r->attempt = !JOBQ_MUTANT(5);
    r->token = b.token;
    r->started_at_ms = b.started_at;
    r->lease_until_ms = b.list ? 0 : b.place;
    r->finished_at_ms = b.list ? b.place : 0;
    r->outcome = b.flags >> FLAGS_OUTCOME_SHIFT & 15;
    r->reason = b.flags >> FLAGS_REASON_SHIFT;
    memcpy(job->worker, b.worker, b.worker_size);
    r->worker = (struct jobq_bytes){ .data = b.has_worker ? job->worker : NULL, .size = b.worker_size };
    return 0;
}

/* ---- leaving ------------------------------------------------------------------------------------------------------- */

int sq_batch_leave_run(struct jobq_store *s, const struct batch *b, int64_t first, int64_t last)
{
    int state = b->list ? JOBQ_ROW_COMPLETED : JOBQ_ROW_RUNNING;
    if (take_out(s, b, first, last) != 0)
        return -1;
    return sq_run(s, SQL_JOB_LEAVE,
                  VALUES(number(first), number(last), number(state), number(b->list), number(b->place),
                         blob(b->token.bytes, sizeof b->token), bytes(worker_of(b)), number(b->started_at),
                         number(!JOBQ_MUTANT(5)), number(b->flags & ~FLAGS_OWN)));
}

/* By eights, counted from the first, so that rows which leave one after the other do so by few statements, and no record is left
 * with fewer: each is a step for whoever looks past it. */
static int leave_around(struct jobq_store *s, const struct batch *b, int64_t first, int64_t last)
{
    first -= (first - b->first) % BATCH_LEAST;
    last += BATCH_LEAST - 1 - (last - b->first) % BATCH_LEAST;
    return sq_batch_leave_run(s, b, first, b->last - last < BATCH_LEAST ? b->last : last);
}

int sq_batch_leave(struct jobq_store *s, struct job *job)
{
    struct batch b;
    if (!job->member)
        return 0;
    job->member = false;
    int found = sq_batch_find(s, sq_line_of(job->queue, job->lane), job->rank, job->n, &b);
    if (found == 0)
        return sq_fault_text(s, SQLITE_CORRUPT, "row %lld is in no batch", (long long)job->n);
    return found < 0 ? -1 : leave_around(s, &b, job->n, job->n);
}

/* The oldest of a list, up to `most` rows that stand up to a place. */
int sq_batch_leave_first(struct jobq_store *s, int64_t list, int64_t to, int64_t most)
{
    struct batch b;
    int found = 0;
    while (most > 0 && (found = sq_batch_first(s, list, INT64_MIN, to, &b)) > 0) {
        int64_t count = sq_batch_size(&b) < most ? sq_batch_size(&b) : most;
        if (sq_batch_leave_run(s, &b, b.first, b.first + count - 1) != 0)
            return -1;
        most -= count;
    }
    return found < 0 ? -1 : 0;
}

/* ---- claim, end, beat ------------------------------------------------------------------------------------------------ */

/* Has nothing happened to this due row, and does nothing hang on it? */
bool sq_batch_plain(const struct job *job, const struct jobq_row *shown)
{
    const struct jobq_row *r = &job->row;
    return r->state == JOBQ_ROW_WAITING && r->due && !(job->flags & ~FLAG_BULK_PAYLOAD) && !r->attempt &&
           !r->outcome && !r->reason && !r->edits && !r->failures && !r->crashes && !r->snoozes && !r->releases &&
           !r->redrives && !r->pending && !job->children && !job->errors && !r->expires_at_ms && !r->callback_until_ms &&
           r->timeout_ms <= 0 && !job->has_key && !job->has_digest && !shown->key.data &&
           !shown->progress.data && !shown->data.data;
}

int sq_batch_begin(struct turn *t, const struct batch *b)
{
    struct queue *queue = sq_queue_of(t, sq_batch_queue(b));
    if (!queue)
        return -1;
    queue->batched = true;
    return add(t->s, b);
}

/* As a whole it moves; a part of it is a record of its own from here on. */
static int end_part(struct turn *t, const struct batch *b, int64_t first, int64_t last, int32_t told)
{
    struct batch part = *b;
    part.first = first;
    part.last = last;
    part.list = list_of(sq_batch_queue(b), JOBQ_ROW_COMPLETED);
    part.place = t->now;
    part.flags = (b->flags & FLAGS_OWN) | told;
    if (first != b->first || last != b->last)
        return take_out(t->s, b, first, last) != 0 ? -1 : add(t->s, &part);
    t->s->batch_epoch = 0;
    return sq_run(t->s, SQL_BATCH_MOVE, VALUES(number(b->line), number(b->rank), number(b->first), number(part.list),
                                               number(part.place), number(part.flags)));
}

/* Those that were few may have left their record with others that ended before. */
int sq_batch_end(struct turn *t, const struct ends *ends, const struct run *run, int64_t *done)
{
    struct queue *queue = sq_queue_of(t, ends->queue);
    struct batch b;
    int found = queue ? sq_batch_find(t->s, ends->line, ends->rank, run->first, &b) : -1;
    *done = 1;
    if (found <= 0)
        return found;
    int64_t last = run->last < b.last ? run->last : b.last;
    *done = last - run->first + 1;
    if (*done < BATCH_LEAST)
        return leave_around(t->s, &b, run->first, last);
    queue->batched = true;
    queue->uncounted++; /* of groups an exchange may end many */
    return end_part(t, &b, run->first, last, ends->told) != 0 ? -1 : 1;
}

int sq_batch_extend(struct turn *t, const struct batch *b, int64_t until)
{
    if (until <= b->place)
        return 0;
    t->s->batch_epoch = 0;
    return sq_run(t->s, SQL_BATCH_MOVE, VALUES(number(b->line), number(b->rank), number(b->first), number(b->list),
                                               number(until), number(b->flags)));
}

/* ---- what this handle claimed ------------------------------------------------------------------------------------------ */

/* That of this claim, emptied if it had none. */
static struct hold *hold_of(struct jobq_store *s, const struct jobq_token *token)
{
    for (size_t i = 0; i < HOLDS; i++)
        if (s->holds[i].count && memcmp(&s->holds[i].token, token, sizeof *token) == 0)
            return &s->holds[i];
    struct hold *hold = &s->holds[s->next_hold];
    s->next_hold = (s->next_hold + 1) % HOLDS;
    hold->token = *token;
    hold->count = hold->at = 0;
    return hold;
}

/* Memory that is not to be had costs time only. In a transaction of the program nobody tells that a claim was undone. */
void sq_batch_hold(struct jobq_store *s, const struct jobq_token *token, const struct held_row *row)
{
    struct hold *hold = s->attached ? NULL : hold_of(s, token);
    if (!hold || hold->count == HOLD_MOST)
        return;
    struct held_row *rows = sq_grow(hold->rows, hold->count, &hold->room, sizeof *rows);
    if (!rows)
        return;
    hold->rows = rows;
    rows[hold->count++] = *row;
}

void sq_batch_let_go(struct jobq_store *s)
{
    for (size_t i = 0; i < HOLDS; i++)
        s->holds[i].count = 0;
}

/* They are mostly ended in the order in which they were claimed. NULL: it is not among them. */
static const struct held_row *find_held(struct hold *hold, const struct jobq_id *id)
{
    for (size_t looked = 0; looked < hold->count; looked++) {
        hold->at = hold->at < hold->count ? hold->at : 0;
        const struct held_row *row = &hold->rows[hold->at++];
        if (memcmp(&row->id, id, sizeof *id) == 0)
            return row;
    }
    return NULL;
}

/* A token is of one claim, and the rows of a record with it are those of that claim: a row that is not there any more has left it,
 * so its number cannot be another's. */
static int look_at(struct jobq_store *s, struct hold *hold, const struct jobq_id *id, struct job *out)
{
    struct batch b;
    const struct held_row *row = find_held(hold, id);
    if (!row)
        return 0;
    int found = sq_batch_find(s, row->line, row->rank, row->n, &b);
    if (found <= 0 || b.list || memcmp(&b.token, &hold->token, sizeof b.token) != 0)
        return found < 0 ? -1 : 0;
    memset(out, 0, offsetof(struct job, worker));
    out->member = true;
    out->rank = row->rank;
    out->n = row->n;
    out->queue = sq_batch_queue(&b);
    out->lane = row->lane;
    out->flags = b.flags & FLAG_BULK;
    out->row.id = *id;
    out->row.state = JOBQ_ROW_RUNNING;
    out->row.token = b.token;
    out->row.started_at_ms = b.started_at;
    return 1;
}

int sq_batch_held(struct jobq_store *s, const struct jobq_token *token, const struct jobq_id *id, struct job *out)
{
    for (size_t i = 0; s->clock.batches && i < HOLDS; i++)
        if (s->holds[i].count && memcmp(&s->holds[i].token, token, sizeof *token) == 0) {
            int found = look_at(s, &s->holds[i], id, out);
            if (found != 0)
                return found;
        }
    return 0;
}

/* ---- retention --------------------------------------------------------------------------------------------------------- */

int sq_batch_remove(struct jobq_store *s, const struct batch *b, int64_t count)
{
    int64_t last = b->first + count - 1;
    if (take_out(s, b, b->first, last) != 0 || sq_run(s, SQL_JOB_DROP_RUN, VALUES(number(b->first), number(last))) != 0)
        return -1;
    if (sqlite3_changes(s->db) != (int)count)
        return sq_fault_text(s, SQLITE_CORRUPT, "batch %lld is not whole", (long long)b->first);
    return b->flags & FLAG_BULK_PAYLOAD ? sq_run(s, SQL_BATCH_BULK, VALUES(number(b->first), number(last))) : 0;
}

/* ---- the bound --------------------------------------------------------------------------------------------------------- */

/* Who takes and ends a job at a time should not look past old records for long. */
static int settle_some(struct turn *t, const struct queue *queue)
{
    int64_t any;
    if (sq_batch_leave_first(t->s, list_of(queue->id, JOBQ_ROW_COMPLETED), INT64_MAX, BATCH_AT_ONCE) != 0 ||
        sq_number(t->s, SQL_BATCH_ANY, &any, NULL, 0) < 0)
        return -1;
    t->s->clock.batches = any != 0;
    return 0;
}

/* What retention keeps beyond the bound is written into its rows, by and by. To count is a step for each record, so it is
 * done when a sixty-fourth of them may have come since. */
static int settle_above(struct turn *t, struct queue *queue)
{
    struct jobq_store *s = t->s;
    int64_t list = list_of(queue->id, JOBQ_ROW_COMPLETED);
    int64_t most = s->long_walks < LONG_WALKS_OFTEN ? s->ended_most : BATCH_PASSED_MOST;
    if (!sq_queue_loaded(t, queue->id))
        return -1;
    if (sq_queue_rows(queue, COUNT_COMPLETED) <= most * BATCH_LEAST)
        return 0;
    if (queue->uncounted >= most / 64) {
        queue->uncounted = 0;
        if (sq_number(s, SQL_BATCH_COUNT, &queue->above, VALUES(number(list), number(most))) < 0)
            return -1;
    }
    int64_t rows = queue->above < BATCH_OUT_MOST ? queue->above : BATCH_OUT_MOST;
    queue->above -= rows;
    return sq_batch_leave_first(s, list, INT64_MAX, rows);
}

int sq_batch_settle(struct turn *t)
{
    for (struct queue *queue = t->touched; queue && t->s->clock.batches; queue = queue->next_touched) {
        if (queue->batched && settle_above(t, queue) != 0)
            return -1;
        if (!queue->batched && (queue->claimed || queue->ended) && settle_some(t, queue) != 0)
            return -1;
    }
    return 0;
}
