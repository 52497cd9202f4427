/* SPDX-License-Identifier: MIT */
/* Changes: what happens to a row that is there. The guards are the library's; here is what a change does to the row. */
#include "store.h"

#include <stddef.h>
#include <string.h>

int64_t sq_lease_end(const struct jobq_row *r, int64_t now, int64_t lease_ms)
{
    int64_t end = jobq_add_ms(now, lease_ms);
    if (r->stop_at_ms && r->stop_at_ms < end)
        end = r->stop_at_ms;
    return end > r->lease_until_ms ? end : r->lease_until_ms;
}

/* ---- refusals ------------------------------------------------------------------------------------------------ */

/* What the guards cannot know: edges and the key. */
static int refuse(struct turn *t, struct jobq_change *change, const struct job *job)
{
    struct key_holder holder;
    if (change->state == JOBQ_ROW_GONE && job->children) {
        change->verdict = JOBQ_STALE;
        change->stale = JOBQ_STALE_STATE;
        return 0;
    }
    if (!(change->set & JOBQ_TAKE_KEY) || !job->has_key)
        return 0;
    int held = sq_key_held(t, job->key.scope, &holder);
    if (held > 0 && memcmp(&holder.job, &job->row.id, sizeof holder.job) != 0) {
        change->verdict = JOBQ_DUPLICATE;
        change->holder = holder.job;
    }
    return held < 0 ? -1 : 0;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static int add_error(struct turn *t, struct job *job, const struct jobq_change *change)
{
    const struct jobq_row *r = &job->row;
    if (job->errors == INT32_MAX)
        return 0;
    int64_t seq = ++job->errors;
    if (seq > ERRORS_KEPT && sq_run(t->s, SQL_ERROR_DROP, VALUES(number(job->n), number(seq - ERRORS_KEPT))) != 0)
        return -1;
    return sq_run(t->s, SQL_ERROR_ADD,
                  VALUES(number(job->n), number(seq), number(r->attempt > INT32_MAX ? INT32_MAX : r->attempt),
                         number(change->error_kind), number(t->now), bytes(r->worker), bytes(change->error)));
}

static int add_log(struct turn *t, struct job *job, const struct jobq_change *change)
{
    const struct jobq_row *r = &job->row;
    size_t skip = change->log_count > LOG_KEPT ? change->log_count - LOG_KEPT : 0;
    int64_t seq = 0;
    if (job->flags & FLAG_LOG && sq_number(t->s, SQL_LOG_LAST, &seq, VALUES(number(job->n))) < 0)
        return -1;
    for (size_t i = skip; i < change->log_count; i++, seq++)
        if (sq_run(t->s, SQL_LOG_ADD,
                   VALUES(number(job->n), number(seq + 1), number(r->attempt > INT32_MAX ? INT32_MAX : r->attempt),
                          number(t->now), bytes(r->worker), bytes(change->log[i]))) != 0)
            return -1;
    if (change->log_count)
        job->flags |= FLAG_LOG;
    return seq > LOG_KEPT ? sq_run(t->s, SQL_LOG_DROP, VALUES(number(job->n), number(seq - LOG_KEPT))) : 0;
}

static int set_bytes(struct turn *t, struct job *job, const struct jobq_change *change)
{
    const struct jobq_bytes none = { 0 };
    uint32_t set = change->set;
    if (set & JOBQ_SET_RESULT && sq_job_set_bytes(t->s, job, BULK_RESULT, change->result) != 0)
        return -1;
    if (set & JOBQ_SET_CALLBACK && sq_job_set_bytes(t->s, job, BULK_DATA, none) != 0)
        return -1;
    if (set & JOBQ_SET_DATA && sq_job_set_bytes(t->s, job, BULK_DATA, change->data) != 0)
        return -1;
    if (set & JOBQ_SET_PAYLOAD && sq_job_set_bytes(t->s, job, BULK_PAYLOAD, change->payload) != 0)
        return -1;
    if (set & JOBQ_SET_PROGRESS)
        return sq_run(t->s, SQL_JOB_PROGRESS, VALUES(number(job->n), bytes(change->progress)));
    return 0;
}

static void set_callback(struct job *job, const struct jobq_change *change)
{
    static const uint8_t none[32];
    job->has_digest = memcmp(change->digest, none, sizeof none) != 0;
    job->flags &= ~FLAG_DIGEST_USED;
    memcpy(job->digest, change->digest, sizeof job->digest);
    job->row.resumed = 0;
}

static void set_counters(struct jobq_row *r, const struct jobq_change *change)
{
    r->failures = change->failures;
    r->crashes = change->crashes;
    r->snoozes = change->snoozes;
    r->releases = change->releases;
    r->redrives = change->redrives;
}

static void set_run_at(struct turn *t, struct jobq_row *r, const struct jobq_change *change)
{
    r->run_at_ms = jobq_time_of(&change->run_at, r->run_at_ms, t->now);
    r->due = r->state == JOBQ_ROW_WAITING && r->run_at_ms <= t->now;
    t->wake |= r->state == JOBQ_ROW_WAITING;
}

static void set_numbers(struct turn *t, struct job *job, const struct jobq_change *change)
{
    struct jobq_row *r = &job->row;
    uint32_t set = change->set;
    if (set & JOBQ_SET_COUNTERS)
        set_counters(r, change);
    if (set & JOBQ_SET_RUN_AT)
        set_run_at(t, r, change);
    if (set & JOBQ_SET_CALLBACK)
        set_callback(job, change);
    if (set & JOBQ_SET_DATA)
        job->flags |= FLAG_DIGEST_USED;
    if (set & JOBQ_SET_DEADLINE)
        r->callback_until_ms = jobq_time_of(&change->callback_until, r->callback_until_ms, t->now);
    if (set & JOBQ_SET_CANCEL_ASKED)
        r->cancel_asked = 1;
    if (set & JOBQ_CLEAR_CANCEL)
        r->cancel_asked = 0;
    if (set & JOBQ_SET_ALONE)
        r->alone = change->alone != 0;
    if (set & JOBQ_SET_RESUMED)
        r->resumed = 1;
    if (set & JOBQ_SET_LEASE)
        r->lease_until_ms = sq_lease_end(r, t->now, change->lease_ms);
}

/* ---- states --------------------------------------------------------------------------------------------------- */

/* What the change asks for, seen with the row's hold and parents. */
static int target_state(struct jobq_row *r, const struct jobq_change *change, int *reason)
{
    int state = change->state == JOBQ_ROW_KEEP ? r->state : change->state;
    *reason = change->state == JOBQ_ROW_KEEP ? r->reason : change->reason;
    if (change->set & JOBQ_LIFT_HOLD) {
        r->held = 0;
        if (r->state == JOBQ_ROW_BLOCKED && r->pending == 0)
            state = JOBQ_ROW_WAITING;
        else if (state == JOBQ_ROW_BLOCKED)
            *reason = JOBQ_REASON_PARENTS;
    }
    if (change->set & JOBQ_BLOCK_AGAIN && r->pending) {
        state = JOBQ_ROW_BLOCKED;
        *reason = JOBQ_REASON_PARENTS;
    }
    return state;
}

static int leave_ended(struct turn *t, struct job *job)
{
    job->row.finished_at_ms = 0;
    job->row.expires_at_ms = 0;
    return sq_job_set_bytes(t->s, job, BULK_RESULT, (struct jobq_bytes){ 0 });
}

static int set_state(struct turn *t, struct job *job, int state, int reason)
{
    struct jobq_row *r = &job->row;
    int from = r->state;
    r->reason = state == JOBQ_ROW_WAITING ? JOBQ_REASON_NONE : reason;
    if (from == state)
        return 0;
    if (from == JOBQ_ROW_RUNNING)
        r->lease_until_ms = r->stop_at_ms = 0;
    if (sq_is_ended(from) && leave_ended(t, job) != 0)
        return -1;
    r->state = state;
    r->due = 0;
    if (sq_is_ended(state)) {
        r->finished_at_ms = t->now;
        r->pending = 0;
    }
    if (state == JOBQ_ROW_WAITING)
        sq_job_wait(t, job);
    return 0;
}

static int count_end(struct turn *t, const struct job *job, bool entered, bool failed)
{
    struct queue *queue = sq_queue_of(t, job->queue);
    if (!queue)
        return -1;
    int state = job->row.state;
    queue->diff[COUNT_FAILED_TOTAL] += failed;
    if (!entered)
        return 0;
    queue->diff[COUNT_COMPLETED_TOTAL + state - JOBQ_ROW_COMPLETED]++;
    queue->ended |= JOBQ_ROW_BIT((unsigned)state);
    return 0;
}

/* A key whose window ran out while its job had ended must not come back to life with the job. */
static int settle_before(struct turn *t, const struct job *job)
{
    return sq_is_ended(job->row.state) ? sq_key_settle(t, job, job->row.state) : 0;
}

/* What hangs on a row that has left its state: its key; at the end those it waited for and those who wait for it. */
static int settle_after(struct turn *t, struct job *job, int before)
{
    bool more = false;
    if (job->row.state == before)
        return 0;
    if (!sq_is_ended(job->row.state))
        return sq_is_ended(before) ? sq_key_settle(t, job, job->row.state) : 0;
    if (sq_key_settle(t, job, job->row.state) != 0 ||
        (job->flags & FLAG_PARENTS && sq_edges_close(t, job, job->row.reason == JOBQ_REASON_DEPENDENCY) != 0))
        return -1;
    return job->children ? sq_edges_resolve(t, job, &more) : 0;
}

/* ---- making it ---------------------------------------------------------------------------------------------------- */

static void note_guard(struct job *job, const struct jobq_change *change)
{
    if (change->by != JOBQ_BY_TOKEN)
        job->row.edits += job->row.edits < UINT32_MAX;
    if (change->outcome != JOBQ_OUTCOME_NONE)
        job->row.outcome = change->outcome;
}

static int make(struct turn *t, struct jobq_change *change, struct job *job)
{
    int before = job->row.state, reason;
    if (sq_batch_leave(t->s, job) != 0)
        return -1;
    if (change->state == JOBQ_ROW_GONE)
        return sq_event(t, &job->row, job->queue, job->kind, JOBQ_ROW_GONE) != 0 ? -1 : sq_job_remove(t, job);
    if (change->set & JOBQ_BLOCK_AGAIN) {
        job->row.pending = 0;
        if (sq_edges_reopen(t, &job->row.id, &job->row.pending) != 0)
            return -1;
    }
    if (settle_before(t, job) != 0)
        return -1;
    note_guard(job, change);
    if ((change->set & JOBQ_ADD_ERROR && add_error(t, job, change) != 0) ||
        (change->set & JOBQ_ADD_LOG && add_log(t, job, change) != 0))
        return -1;
    int state = target_state(&job->row, change, &reason);
    if (set_state(t, job, state, reason) != 0 || set_bytes(t, job, change) != 0)
        return -1;
    set_numbers(t, job, change);
    if (sq_job_save(t, job) != 0)
        return -1;
    if (before == JOBQ_ROW_RUNNING && state != before && sq_slot_freed(t, job) != 0)
        return -1;
    if (change->set & JOBQ_TAKE_KEY && job->has_key &&
        sq_key_take(t, &job->row.id, &job->key, job->window_until_ms) != 0)
        return -1;
    if (count_end(t, job, sq_is_ended(state) && before != state, change->outcome == JOBQ_OUTCOME_FAIL) != 0 ||
        sq_figures_ended(t, job->queue, change->outcome, job->row.started_at_ms) != 0 ||
        (before != state && sq_event(t, &job->row, job->queue, job->kind, state) != 0))
        return -1;
    return settle_after(t, job, before);
}

static int run_change(struct turn *t, struct jobq_change *change, struct job *job)
{
    if (refuse(t, change, job) != 0)
        return -1;
    return change->verdict == JOBQ_OK ? make(t, change, job) : 0;
}

/* ---- the short way ------------------------------------------------------------------------------------------------- */

/* By far the most frequent change: a worker completes what it holds, and nothing hangs on the job. */
static bool may_be_plain(const struct jobq_change *change)
{
    return change->by == JOBQ_BY_TOKEN && change->state == JOBQ_ROW_COMPLETED &&
           !(change->set & ~(uint32_t)JOBQ_SET_RESULT) && change->outcome != JOBQ_OUTCOME_FAIL &&
           !sq_is_bulky(change->result);
}

/* Finds what the guards ask for. 1: nothing hangs on the row, 0: it takes the long way, -1. */
static int read_guard(struct turn *t, const struct jobq_change *change, struct job *job)
{
    int found = sq_batch_held(t->s, &change->token, &change->id, job);
    if (found != 0)
        return found;
    sqlite3_stmt *row = sq_start(t->s, SQL_JOB_GUARD, VALUES(id_value(&change->id)));
    found = sq_step(t->s, row);
    if (found <= 0)
        return found;
    int32_t flags = sqlite3_column_int(row, 3);
    memset(job, 0, offsetof(struct job, worker));
    job->n = sqlite3_column_int64(row, 0);
    job->row.state = sqlite3_column_int(row, 1);
    job->queue = sqlite3_column_int64(row, 2);
    job->flags = flags & FLAGS_OWN;
    job->row.outcome = flags >> FLAGS_OUTCOME_SHIFT & 15;
    sq_token_read(row, 4, &job->row.token);
    job->row.started_at_ms = sqlite3_column_int64(row, 6);
    job->lane = sqlite3_column_int64(row, 7);
    int64_t list = sqlite3_column_int64(row, 8);
    job->row.due = job->row.state == JOBQ_ROW_WAITING && (list < 0 || list == list_of(job->queue, LIST_DUE));
    int64_t place = sqlite3_column_int64(row, 9);
    bool sound = sq_unpack(sq_column_bytes(row, 5), job);
    sqlite3_reset(row);
    if (job->row.due && sq_batch_show(t->s, place, job) != 0)
        return -1;
    if (!sound)
        return sq_fault_text(t->s, SQLITE_CORRUPT, "row %lld cannot be read", (long long)job->n);
    return !job->children && !job->has_key && !(job->flags & (FLAG_PARENTS | FLAG_BULK_RESULT));
}

static int end_rows(struct turn *t, const struct ends *ends, int64_t first, int64_t last)
{
    return sq_run(t->s, SQL_JOB_END, VALUES(number(first), number(last), number(ends->list), number(t->now),
                                            number(ends->told), number(ends->drop_result)));
}

static int end_members(struct turn *t, const struct ends *ends, struct run run)
{
    struct ends row = *ends;
    row.drop_result = false;
    for (int64_t done; run.first <= run.last; run.first += done) {
        int told = sq_batch_end(t, ends, &run, &done);
        if (told < 0 || (told == 0 && end_rows(t, &row, run.first, run.first + done - 1) != 0))
            return -1;
    }
    return 0;
}

int sq_ends_write(struct turn *t)
{
    const struct ends ends = t->ends;
    struct runs *ended = &t->s->ended, *members = &t->s->ended_members;
    int result = 0;
    t->ends = (struct ends){ 0 };
    for (size_t i = 0; i < members->count && result == 0; i++)
        result = end_members(t, &ends, members->items[i]);
    for (size_t i = 0; i < ended->count && result == 0; i++)
        result = end_rows(t, &ends, ended->items[i].first, ended->items[i].last);
    members->count = ended->count = 0;
    return result;
}

/* What is to be written before this one. When those were few, it may have left its batch with them. */
static int write_before(struct turn *t, struct job *job)
{
    struct batch b;
    if (sq_ends_write(t) != 0)
        return -1;
    int found = job->member ? sq_batch_find(t->s, sq_line_of(job->queue, job->lane), job->rank, job->n, &b) : 0;
    job->member = found > 0;
    return found < 0 ? -1 : 0;
}

/* Can it be written together with those before it? */
static bool goes_on(const struct turn *t, const struct job *job, int64_t list, int32_t told, bool drop_result)
{
    const struct ends *ends = &t->ends;
    if (ends->list != list || ends->told != told)
        return false;
    if (job->member)
        return !t->s->ended_members.count ||
               (ends->line == sq_line_of(job->queue, job->lane) && ends->rank == job->rank);
    return !t->s->ended.count || ends->drop_result == drop_result;
}

/* What is claimed together is mostly ended together. */
static int end_row(struct turn *t, struct job *job, int32_t told, bool drop_result)
{
    int64_t list = list_of(job->queue, JOBQ_ROW_COMPLETED);
    if (!goes_on(t, job, list, told, drop_result) && write_before(t, job) != 0)
        return -1;
    t->ends.list = list;
    t->ends.queue = job->queue;
    t->ends.told = told;
    if (job->member) {
        t->ends.line = sq_line_of(job->queue, job->lane);
        t->ends.rank = job->rank;
    } else {
        t->ends.drop_result = drop_result;
    }
    return sq_runs_add(t->s, job->member ? &t->s->ended_members : &t->s->ended, job->n);
}

/* Has an earlier change of this exchange ended it, and that is not written yet? */
static bool is_ending(const struct turn *t, int64_t n)
{
    return sq_runs_have(&t->s->ended_members, n) || sq_runs_have(&t->s->ended, n);
}

/* 1 made, 0 it takes the long way, -1. */
static int make_plain_end(struct turn *t, struct jobq_change *change)
{
    struct job job;
    int stale, plain = may_be_plain(change) && !t->s->clock.events ? read_guard(t, change, &job) : 0;
    if (plain <= 0 || is_ending(t, job.n) || jobq_change_guard(change, &job.row, NULL, 0, &stale) != JOBQ_OK)
        return plain < 0 ? -1 : 0;
    change->verdict = JOBQ_OK;
    change->stale = JOBQ_STALE_NONE;
    job.counted = COUNT_RUNNING;
    job.row.state = JOBQ_ROW_COMPLETED;
    if (sq_job_recount(t, &job) != 0 || sq_slot_freed(t, &job) != 0 || count_end(t, &job, true, false) != 0 ||
        sq_figures_ended(t, job.queue, change->outcome, job.row.started_at_ms) != 0)
        return -1;
    int32_t told = flags_with(0, change->outcome ? change->outcome : job.row.outcome, change->reason);
    if (!change->result.data || !(change->set & JOBQ_SET_RESULT))
        return end_row(t, &job, told, change->set & JOBQ_SET_RESULT) != 0 ? -1 : 1;
    if (job.member && (write_before(t, &job) != 0 || sq_batch_leave(t->s, &job) != 0))
        return -1;
    return sq_run(t->s, SQL_JOB_END_WITH,
                  VALUES(number(job.n), number(list_of(job.queue, JOBQ_ROW_COMPLETED)), number(t->now),
                         number(job.flags | told), bytes(change->result))) != 0 ? -1 : 1;
}

int sq_change_make(struct turn *t, struct jobq_change *change)
{
    struct job job;
    change->row = NULL;
    change->holder = (struct jobq_id){ 0 };
    change->lease_until_ms = 0;
    int stale, plain = make_plain_end(t, change);
    if (plain != 0)
        return plain < 0 ? -1 : 0;
    if (sq_ends_write(t) != 0)
        return -1;
    int found = sq_job_find(t->s, &change->id, &job);
    if (found < 0)
        return -1;
    change->verdict = jobq_change_guard(change, found ? &job.row : NULL, found && job.has_digest ? job.digest : NULL,
                                        found && job.flags & FLAG_DIGEST_USED, &stale);
    change->stale = stale;
    if (JOBQ_MUTANT(7) && change->verdict == JOBQ_ALREADY)
        sq_queue_of(t, job.queue)->diff[COUNT_RUNNING]--;
    if (change->verdict == JOBQ_OK && run_change(t, change, &job) != 0)
        return -1;
    bool made = change->verdict == JOBQ_OK;
    bool extended = made && change->set & JOBQ_SET_LEASE && change->state != JOBQ_ROW_GONE;
    if (extended)
        change->lease_until_ms = job.row.lease_until_ms;
    if (!found || (made && !extended))
        return 0;
    return sq_view_one(t->s, t->arena, job.n, &change->row);
}
