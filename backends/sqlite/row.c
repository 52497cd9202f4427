/* SPDX-License-Identifier: MIT */
/* Stored rows: read into a struct, changed there by the rules, written back in one statement. */
#include "store.h"

#include <stddef.h>
#include <string.h>

#define INLINE_BYTES 800 /* larger bytes would be written again with every step of their row */

bool sq_is_ended(int state)
{
    return JOBQ_ROW_BIT((unsigned)state) & JOBQ_ROW_ENDED;
}

/* ---- what follows from a row's value ----------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b) /* 0: never */
{
    return !a ? b : !b || a < b ? a : b;
}

int64_t sq_row_alarm(const struct job *job)
{
    const struct jobq_row *r = &job->row;
    if (r->state == JOBQ_ROW_RUNNING)
        return 0;
    if (sq_is_ended(r->state))
        return job->children ? r->finished_at_ms : 0;
    bool parked = r->state == JOBQ_ROW_BLOCKED && r->reason == JOBQ_REASON_CALLBACK;
    return parked ? earlier(r->expires_at_ms, r->callback_until_ms) : r->expires_at_ms;
}

static int64_t due_list(const struct job *job)
{
    if (job->row.alone)
        return list_of(job->queue, LIST_ALONE);
    return job->lane ? -job->lane : list_of(job->queue, LIST_DUE);
}

int64_t sq_job_list(const struct job *job)
{
    switch (job->row.state) {
    case JOBQ_ROW_RUNNING:
        return 0;
    case JOBQ_ROW_WAITING:
        return job->row.due ? due_list(job) : list_of(job->queue, LIST_LATER);
    case JOBQ_ROW_BLOCKED:
        return list_of(job->queue, LIST_BLOCKED);
    default:
        return list_of(job->queue, job->row.state);
    }
}

int64_t sq_row_place(const struct jobq_row *r)
{
    switch (r->state) {
    case JOBQ_ROW_RUNNING:
        return r->lease_until_ms;
    case JOBQ_ROW_WAITING:
        return r->due ? jobq_add_ms(r->run_at_ms, r->rank_add_ms) : r->run_at_ms;
    case JOBQ_ROW_BLOCKED:
        return 0;
    default:
        return r->finished_at_ms;
    }
}

int sq_row_count(const struct jobq_row *r)
{
    switch (r->state) {
    case JOBQ_ROW_BLOCKED:
        return COUNT_BLOCKED;
    case JOBQ_ROW_WAITING:
        return r->due ? COUNT_DUE : COUNT_LATER;
    case JOBQ_ROW_RUNNING:
        return COUNT_RUNNING;
    default:
        return COUNT_COMPLETED + r->state - JOBQ_ROW_COMPLETED;
    }
}

static int32_t flags_of(const struct job *job)
{
    const int32_t shown = FLAG_CANCEL_ASKED | FLAG_HELD | FLAG_ALONE | FLAG_RAN_ALONE | FLAG_RESUMED;
    const struct jobq_row *r = &job->row;
    return (job->flags & ~shown) | (r->cancel_asked ? FLAG_CANCEL_ASKED : 0) | (r->held ? FLAG_HELD : 0) |
           (r->alone ? FLAG_ALONE : 0) | (r->ran_alone ? FLAG_RAN_ALONE : 0) | (r->resumed ? FLAG_RESUMED : 0);
}

void sq_job_wait(struct turn *t, struct job *job)
{
    struct jobq_row *r = &job->row;
    if (r->state == JOBQ_ROW_RUNNING)
        r->lease_until_ms = r->stop_at_ms = 0;
    r->state = JOBQ_ROW_WAITING;
    r->reason = JOBQ_REASON_NONE;
    r->due = r->run_at_ms <= t->now;
    t->wake = true;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

void sq_copy_exactly(sqlite3_stmt *row, int column, void *out, size_t size)
{
    struct jobq_bytes from = sq_column_bytes(row, column);
    if (from.size == size)
        memcpy(out, from.data, size);
    else
        memset(out, 0, size);
}

void sq_token_read(sqlite3_stmt *row, int column, struct jobq_token *out)
{
    sq_copy_exactly(row, column, out->bytes, sizeof out->bytes);
}

static int64_t fence_of(const struct jobq_token *token)
{
    uint64_t fence = 0;
    for (int i = 8; i < 16; i++)
        fence = fence << 8 | token->bytes[i];
    return (int64_t)fence;
}

static void read_flags(int32_t flags, struct jobq_row *out)
{
    out->cancel_asked = (flags & FLAG_CANCEL_ASKED) != 0;
    out->held = (flags & FLAG_HELD) != 0;
    out->alone = (flags & FLAG_ALONE) != 0;
    out->ran_alone = (flags & FLAG_RAN_ALONE) != 0;
    out->resumed = (flags & FLAG_RESUMED) != 0;
}

static void read_times(sqlite3_stmt *row, struct jobq_row *out)
{
    int64_t place = sqlite3_column_int64(row, ROW_PLACE);
    out->run_at_ms = sqlite3_column_int64(row, ROW_RUN_AT);
    out->created_at_ms = sqlite3_column_int64(row, ROW_CREATED_AT);
    out->started_at_ms = sqlite3_column_int64(row, ROW_STARTED_AT);
    out->stop_at_ms = sqlite3_column_int64(row, ROW_STOP_AT);
    out->lease_until_ms = out->state == JOBQ_ROW_RUNNING ? place : 0;
    out->finished_at_ms = sq_is_ended(out->state) ? place : 0;
}

static void read_worker(sqlite3_stmt *row, struct job *out)
{
    struct jobq_bytes worker = sq_column_bytes(row, ROW_WORKER);
    if (!worker.data)
        return;
    out->row.worker = (struct jobq_bytes){ .data = out->worker, .size = worker.size };
    if (worker.size > sizeof out->worker)
        out->row.worker.size = sizeof out->worker;
    memcpy(out->worker, worker.data, out->row.worker.size);
}

static void read_numbers(sqlite3_stmt *row, struct job *out)
{
    struct jobq_row *r = &out->row;
    int32_t flags = sqlite3_column_int(row, ROW_FLAGS);
    int64_t list = sqlite3_column_int64(row, ROW_LIST), part = list % 16;
    out->n = sqlite3_column_int64(row, ROW_N);
    out->queue = sqlite3_column_int64(row, ROW_QUEUE);
    out->kind = sqlite3_column_int64(row, ROW_KIND);
    out->lane = sqlite3_column_int64(row, ROW_LANE);
    out->flags = flags & FLAGS_OWN;
    r->state = sqlite3_column_int(row, ROW_STATE);
    r->outcome = flags >> FLAGS_OUTCOME_SHIFT & 15;
    r->reason = flags >> FLAGS_REASON_SHIFT;
    r->attempt = sqlite3_column_int64(row, ROW_ATTEMPT);
    r->payload_bytes = (size_t)sqlite3_column_int64(row, ROW_PAYLOAD_BYTES);
    r->due = list < 0 || part == LIST_DUE || part == LIST_ALONE;
    read_flags(out->flags, r);
    read_times(row, r);
}

static int read_stored(struct jobq_store *s, sqlite3_stmt *row, struct job *out)
{
    memset(out, 0, offsetof(struct job, worker));
    read_numbers(row, out);
    sq_copy_exactly(row, ROW_ID, out->row.id.bytes, sizeof out->row.id);
    sq_token_read(row, ROW_TOKEN, &out->row.token);
    out->row.fence = fence_of(&out->row.token);
    read_worker(row, out);
    if (!sq_unpack(sq_column_bytes(row, ROW_REST), out))
        return sq_fault_text(s, SQLITE_CORRUPT, "row %lld cannot be read", (long long)out->n);
    out->row.has_callback = out->has_digest && !(out->flags & FLAG_DIGEST_USED);
    return 0;
}

int sq_job_read_stored(struct jobq_store *s, sqlite3_stmt *row, struct job *out)
{
    int result = read_stored(s, row, out);
    out->counted = sq_row_count(&out->row);
    return result;
}

int sq_job_read(struct jobq_store *s, sqlite3_stmt *row, struct job *out)
{
    if (read_stored(s, row, out) != 0 || sq_batch_show(s, sqlite3_column_int64(row, ROW_PLACE), out) != 0)
        return -1;
    out->row.fence = fence_of(&out->row.token);
    out->counted = sq_row_count(&out->row);
    return 0;
}

static int read_job(struct jobq_store *s, sqlite3_stmt *row, struct job *out)
{
    int found = sq_step(s, row);
    if (found <= 0)
        return found;
    int result = sq_job_read(s, row, out);
    sqlite3_reset(row);
    return result == 0 ? 1 : -1;
}

int sq_job_find(struct jobq_store *s, const struct jobq_id *id, struct job *out)
{
    return read_job(s, sq_start(s, SQL_JOB_BY_ID, VALUES(id_value(id))), out);
}

int sq_job_load(struct jobq_store *s, int64_t n, struct job *out)
{
    return read_job(s, sq_start(s, SQL_JOB_BY_N, VALUES(number(n))), out);
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

int sq_job_recount(struct turn *t, struct job *job)
{
    int count = sq_row_count(&job->row);
    if (count == job->counted)
        return 0;
    struct queue *queue = sq_queue_of(t, job->queue);
    if (!queue)
        return -1;
    int64_t more = (count == COUNT_RUNNING) - (job->counted == COUNT_RUNNING);
    queue->diff[job->counted]--;
    queue->diff[count]++;
    job->counted = count;
    return sq_lane_run(t, job->lane, more);
}

int sq_job_save(struct turn *t, struct job *job)
{
    const struct jobq_row *r = &job->row;
    struct pack rest;
    if (sq_batch_leave(t->s, job) != 0)
        return -1;
    job->flags = flags_of(job);
    int64_t list = sq_job_list(job);
    struct queue *queue = sq_queue_of(t, job->queue);
    if (!queue || sq_job_recount(t, job) != 0 || (list < 0 && sq_lane_ready(t, job->lane, sq_row_place(r), job->n) != 0))
        return -1;
    sq_front_meets(queue, list, sq_row_place(r), job->n);
    return sq_run(t->s, SQL_JOB_SAVE,
                  VALUES(number(job->n), number(r->state), number(flags_with(job->flags, r->outcome, r->reason)),
                         number(list), number(sq_row_place(r)), instant(sq_row_alarm(job)),
                         number(r->run_at_ms), instant(r->stop_at_ms), sq_pack(&rest, job)));
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

int32_t sq_bulk_flag(enum bulk what)
{
    return what == BULK_PAYLOAD ? FLAG_BULK_PAYLOAD : what == BULK_RESULT ? FLAG_BULK_RESULT : FLAG_BULK_DATA;
}

bool sq_is_bulky(struct jobq_bytes bytes)
{
    return bytes.size > INLINE_BYTES;
}

int sq_bulk_put(struct jobq_store *s, int64_t n, enum bulk what, struct jobq_bytes content)
{
    return sq_run(s, SQL_BULK_PUT, VALUES(number(4 * n + what), bytes(content)));
}

int sq_bulk_drop(struct jobq_store *s, int64_t n, enum bulk what)
{
    return sq_run(s, SQL_BULK_DROP, VALUES(number(4 * n + what)));
}

int sq_job_set_bytes(struct jobq_store *s, struct job *job, enum bulk what, struct jobq_bytes content)
{
    static const enum sql statement[] = { [BULK_PAYLOAD] = SQL_JOB_PAYLOAD, [BULK_RESULT] = SQL_JOB_RESULT,
                                          [BULK_DATA] = SQL_JOB_DATA };
    int32_t flag = sq_bulk_flag(what);
    bool bulky = sq_is_bulky(content);
    if (!bulky && job->flags & flag && sq_bulk_drop(s, job->n, what) != 0)
        return -1;
    if (bulky && sq_bulk_put(s, job->n, what, content) != 0)
        return -1;
    job->flags = bulky ? job->flags | flag : job->flags & ~flag;
    if (what == BULK_PAYLOAD)
        job->row.payload_bytes = content.size;
    return sq_run(s, statement[what], VALUES(number(job->n), bulky ? nothing() : bytes(content)));
}

/* ---- removing --------------------------------------------------------------------------------------------------- */

static int remove_bytes(struct jobq_store *s, const struct job *job)
{
    for (enum bulk what = BULK_PAYLOAD; what <= BULK_DATA; what++)
        if (job->flags & sq_bulk_flag(what) && sq_bulk_drop(s, job->n, what) != 0)
            return -1;
    if (job->flags & FLAG_LOG && sq_run(s, SQL_LOG_DROP_ALL, VALUES(number(job->n))) != 0)
        return -1;
    return job->errors ? sq_run(s, SQL_ERROR_DROP_ALL, VALUES(number(job->n))) : 0;
}

int sq_job_remove(struct turn *t, const struct job *job)
{
    int state = sq_is_ended(job->row.state) ? job->row.state : JOBQ_ROW_GONE;
    struct queue *queue = sq_queue_of(t, job->queue);
    if (!queue || sq_key_settle(t, job, state) != 0 || sq_key_outlive(t, job, state) != 0 ||
        sq_edges_close(t, job, false) != 0 || remove_bytes(t->s, job) != 0)
        return -1;
    queue->diff[job->counted]--;
    if (job->counted == COUNT_RUNNING && (sq_lane_run(t, job->lane, -1) != 0 || sq_slot_freed(t, job) != 0))
        return -1;
    return sq_run(t->s, SQL_JOB_DROP, VALUES(number(job->n)));
}
