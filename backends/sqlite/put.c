/* SPDX-License-Identifier: MIT */
/* New rows. */
#include "store.h"

#include <stddef.h>
#include <string.h>

static int64_t first_run_at(const struct turn *t, const struct jobq_put *put)
{
    return put->run_at.base == JOBQ_TIME_KEEP ? t->now : jobq_time_of(&put->run_at, 0, t->now);
}

static void clear_answer(struct jobq_put *put)
{
    put->verdict = put->state = put->shown = put->same_payload = 0;
    put->holder = (struct jobq_id){ 0 };
    put->retry_ms = 0;
}

static void answer_row(const struct turn *t, struct jobq_put *put, const struct jobq_row *r)
{
    put->holder = r->id;
    put->state = r->state;
    put->shown = jobq_shown_state(r->state, r->run_at_ms, t->now);
}

/* ---- verdicts ------------------------------------------------------------------------------------------------ */

static int same_bytes(struct jobq_bytes a, struct jobq_bytes b)
{
    return !a.data == !b.data && a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

/* The id exists: this request was made before. 1 it does, 0 it does not, -1. */
static int answer_already(struct turn *t, struct jobq_put *put)
{
    struct job job;
    struct jobq_row view;
    int found = sq_job_find(t->s, &put->id, &job);
    if (found <= 0)
        return found;
    if (sq_view_row(t->s, t->arena, job.n, JOBQ_READ_PAYLOAD, &view, NULL) <= 0)
        return -1;
    put->verdict = JOBQ_ALREADY;
    put->same_payload = same_bytes(view.payload, put->payload);
    answer_row(t, put, &view);
    return 1;
}

static int parents_missing(struct turn *t, const struct jobq_put *put)
{
    for (size_t i = 0; i < put->parent_count; i++) {
        int state;
        if (sq_parent_state(t->s, &put->parents[i].id, &state) != 0)
            return -1;
        if (state == JOBQ_ROW_GONE)
            return 1;
    }
    return 0;
}

/* The queue, if it has room for so many only; else NULL. */
static int find_bounded(struct turn *t, const struct jobq_put *put, const struct queue **out)
{
    int64_t id;
    *out = NULL;
    int found = sq_queue_find(t->s, put->queue, &id);
    if (found <= 0)
        return found;
    const struct queue *queue = sq_queue_loaded(t, id);
    if (queue && queue->now.depth >= 0)
        *out = queue;
    return queue ? 0 : -1;
}

/* 1 full, 0 not, -1. */
static int is_full(struct turn *t, const struct jobq_put *put)
{
    const struct queue *queue;
    if (find_bounded(t, put, &queue) != 0)
        return -1;
    return queue && sq_queue_rows(queue, COUNT_BLOCKED) + sq_queue_rows(queue, COUNT_DUE) +
                        sq_queue_rows(queue, COUNT_LATER) >= queue->now.depth;
}

/* ---- a key that is held ------------------------------------------------------------------------------------------ */

static int replace_payload(struct turn *t, struct job *job, const struct jobq_put *put)
{
    struct value digest = blob(put->unique->payload_digest, sizeof put->unique->payload_digest);
    memcpy(job->key.payload_digest, put->unique->payload_digest, sizeof job->key.payload_digest);
    job->row.edits += job->row.edits < UINT32_MAX;
    if (sq_job_set_bytes(t->s, job, BULK_PAYLOAD, put->payload) != 0 || sq_job_save(t, job) != 0)
        return -1;
    return sq_run(t->s, SQL_KEY_DIGEST, VALUES(blob(put->unique->scope, sizeof put->unique->scope), digest));
}

static int extend_delay(struct turn *t, struct job *job, const struct jobq_put *put)
{
    job->row.run_at_ms = first_run_at(t, put);
    job->row.edits += job->row.edits < UINT32_MAX;
    if (job->row.state == JOBQ_ROW_WAITING)
        sq_job_wait(t, job);
    return sq_job_save(t, job);
}

static int meet_holder(struct turn *t, struct jobq_put *put, struct key_holder *key)
{
    int state = key->present ? key->row.row.state : JOBQ_ROW_GONE, result = 0;
    bool waits = state == JOBQ_ROW_WAITING || state == JOBQ_ROW_BLOCKED;
    t->only_puts = false;
    put->verdict = JOBQ_DUPLICATE;
    put->same_payload = memcmp(key->digest, put->unique->payload_digest, sizeof key->digest) == 0;
    if (waits && put->unique->conflict == JOBQ_CONFLICT_REPLACE) {
        put->verdict = JOBQ_REPLACED;
        result = replace_payload(t, &key->row, put);
    } else if (waits && put->unique->conflict == JOBQ_CONFLICT_EXTEND) {
        put->verdict = JOBQ_EXTENDED;
        result = extend_delay(t, &key->row, put);
    } else if (put->unique->conflict == JOBQ_CONFLICT_SUCCESSOR &&
               (key->hold == JOBQ_HOLD_LIVE || key->hold == JOBQ_HOLD_UNRESOLVED)) {
        put->verdict = JOBQ_SUCCESSOR;
        result = sq_successor_keep(t, put, key);
    }
    put->holder = key->job;
    put->state = key->ended;
    put->shown = jobq_shown_state(key->ended, 0, t->now);
    if (key->present)
        answer_row(t, put, &key->row.row);
    return result;
}

#define ROW_VALUES 17

/* ---- a new row ----------------------------------------------------------------------------------------------------- */

static void fill_row(struct turn *t, const struct jobq_put *put, uint32_t pending, struct jobq_row *r)
{
    r->id = put->id;
    r->held = put->held != 0;
    r->pending = pending;
    r->priority = put->priority;
    r->rank_add_ms = put->rank_add_ms;
    r->timeout_ms = put->timeout_ms;
    r->payload_bytes = put->payload.size;
    r->run_at_ms = first_run_at(t, put);
    r->expires_at_ms = jobq_time_of(&put->expires_at, 0, t->now);
    if (r->held || r->pending) {
        r->state = JOBQ_ROW_BLOCKED;
        r->reason = r->held ? JOBQ_REASON_HOLD : JOBQ_REASON_PARENTS;
    } else {
        r->state = JOBQ_ROW_WAITING;
        r->due = r->run_at_ms <= t->now;
        t->wake = true;
    }
}

static void fill_job(struct turn *t, const struct jobq_put *put, uint32_t pending, struct job *job)
{
    memset(job, 0, offsetof(struct job, worker));
    fill_row(t, put, pending, &job->row);
    job->flags = (job->row.held ? FLAG_HELD : 0) | (sq_is_bulky(put->payload) ? FLAG_BULK_PAYLOAD : 0) |
                 (put->parent_count ? FLAG_PARENTS : 0);
    job->has_key = put->unique != NULL;
    if (!put->unique)
        return;
    job->key = *put->unique;
    job->window_until_ms = jobq_add_ms(t->now, put->unique->window_ms);
}

/* What its row begins with, in the order of job_put.sql. Lent by `rest`, the put and the job. */
static void row_values(const struct turn *t, const struct jobq_put *put, const struct job *job, struct pack *rest,
                       struct value out[ROW_VALUES])
{
    const struct jobq_row *r = &job->row;
    const char *payload = put->payload.data;
    size_t size = JOBQ_MUTANT(14) && payload ? strnlen(payload, put->payload.size) : put->payload.size;
    const struct value values[ROW_VALUES] = {
        id_value(&put->id), number(r->state), number(job->queue), number(job->kind),
        number(flags_with(job->flags, JOBQ_OUTCOME_NONE, r->reason)), number(sq_job_list(job)),
        number(sq_row_place(r)), instant(r->expires_at_ms), number(r->run_at_ms), number(t->now), sq_pack(rest, job),
        bytes(put->group), bytes(put->policy), bytes(put->key), bytes(put->trace),
        sq_is_bulky(put->payload) ? nothing() : blob(payload, size), instant(job->lane) };
    memcpy(out, values, sizeof values);
}

static int count_put(struct turn *t, const struct job *job)
{
    struct queue *queue = sq_queue_of(t, job->queue);
    if (!queue)
        return -1;
    queue->diff[sq_row_count(&job->row)]++;
    queue->diff[COUNT_ENQUEUED_TOTAL]++;
    sq_front_meets(queue, sq_job_list(job), sq_row_place(&job->row), job->n);
    return 0;
}

static void note_due(struct turn *t, int64_t at)
{
    if (at > t->now && at < t->put_due)
        t->put_due = at;
}

/* Where it belongs: what its row needs to have there before it. */
static int prepare(struct turn *t, const struct jobq_put *put, uint32_t pending, struct job *job, struct lane_mark *mark)
{
    *mark = (struct lane_mark){ .id = 0 };
    fill_job(t, put, pending, job);
    if (sq_queue_make(t->s, put->queue, &job->queue) != 0 || sq_kind_make(t->s, put->kind, &job->kind) != 0)
        return -1;
    if (put->group.size && sq_lane_make(t, job->queue, put->group, mark) != 0)
        return -1;
    job->lane = mark->id;
    return 0;
}

/* Its row, number job->n, has come. */
static int has_come(struct turn *t, struct jobq_put *put, const struct job *job, const struct lane_mark *mark)
{
    if (sq_job_list(job) < 0 && sq_lane_meets(t, mark, sq_row_place(&job->row), job->n) != 0)
        return -1;
    put->verdict = JOBQ_OK;
    put->same_payload = 1;
    answer_row(t, put, &job->row);
    note_due(t, job->row.expires_at_ms);
    note_due(t, job->row.state == JOBQ_ROW_WAITING ? job->row.run_at_ms : 0);
    if (count_put(t, job) != 0)
        return -1;
    return sq_event(t, &job->row, job->queue, job->kind, job->row.state);
}

int sq_put_row(struct turn *t, struct jobq_put *put)
{
    struct job job;
    struct pack rest;
    struct value values[ROW_VALUES];
    struct lane_mark mark;
    uint32_t pending = 0;
    if ((put->parent_count && sq_edges_put(t, put, &pending) != 0) || prepare(t, put, pending, &job, &mark) != 0)
        return -1;
    row_values(t, put, &job, &rest, values);
    if (sq_run(t->s, SQL_JOB_PUT, values, ROW_VALUES) != 0)
        return -1;
    if (sqlite3_changes(t->s->db) == 0) {
        if (put->unique && sq_key_give_up(t, &put->id, put->unique->scope) != 0)
            return -1;
        return answer_already(t, put) < 0 ? -1 : 0;
    }
    job.n = sqlite3_last_insert_rowid(t->s->db);
    if (job.flags & FLAG_BULK_PAYLOAD && sq_bulk_put(t->s, job.n, BULK_PAYLOAD, put->payload) != 0)
        return -1;
    return has_come(t, put, &job, &mark);
}

static int refuse_as(struct jobq_put *put, int verdict)
{
    put->verdict = verdict;
    return 0;
}

/* The key is taken before the row is put: that its row is new is nearly always the answer, and then nothing else need be
 * asked. 1 refused or answered, 0 it is ours, -1. */
static int take_key(struct turn *t, struct jobq_put *put)
{
    struct key_holder holder;
    int64_t until = jobq_add_ms(t->now, put->unique->window_ms);
    int taken = sq_key_try(t, &put->id, put->unique, until);
    if (taken != 0)
        return taken < 0 ? -1 : 0;
    int done = answer_already(t, put);
    if (done == 0)
        done = sq_key_held(t, put->unique->scope, &holder);
    if (done != 0)
        return done < 0 || put->verdict == JOBQ_ALREADY ? done : meet_holder(t, put, &holder) != 0 ? -1 : 1;
    return sq_key_take(t, &put->id, put->unique, until);
}

/* What a put is refused with that nothing else answers: JOBQ_OK for nothing. */
struct refusal {
    int verdict;
    int64_t retry_ms;
};

static int find_refusal(struct turn *t, const struct jobq_put *put, struct refusal *out)
{
    *out = (struct refusal){ .verdict = JOBQ_OK };
    int full = is_full(t, put);
    if (full < 0 || (!full && sq_quota_wait(t, put->group, &out->retry_ms) != 0))
        return -1;
    if (full || out->retry_ms)
        out->verdict = full ? JOBQ_FULL : JOBQ_LIMITED;
    return 0;
}

/* What comes before the row: parents, and what goes before a refusal. 1 answered, 0 go on, -1. */
static int ask_first(struct turn *t, struct jobq_put *put, const struct refusal *refusal)
{
    struct key_holder holder;
    int done = answer_already(t, put);
    if (done != 0)
        return done;
    int missing = parents_missing(t, put);
    if (missing != 0)
        return missing < 0 ? -1 : (refuse_as(put, JOBQ_NO_PARENT), 1);
    if (refusal->verdict == JOBQ_OK)
        return 0;
    int held = put->unique ? sq_key_held(t, put->unique->scope, &holder) : 0;
    if (held != 0)
        return held < 0 || meet_holder(t, put, &holder) != 0 ? -1 : 1;
    put->retry_ms = refusal->retry_ms;
    refuse_as(put, refusal->verdict);
    return 1;
}

/* A put without parents that no limit refuses has one question only, whether its id and key are new, and the inserts answer
 * that. */
static int make(struct turn *t, struct jobq_put *put, const struct jobq_change *changes)
{
    clear_answer(put);
    if (put->only_if >= 0 && changes[put->only_if].verdict != JOBQ_OK)
        return refuse_as(put, JOBQ_SKIPPED);
    struct refusal refusal;
    int done = find_refusal(t, put, &refusal);
    if (done == 0 && (refusal.verdict != JOBQ_OK || put->parent_count))
        done = ask_first(t, put, &refusal);
    if (done == 0 && put->unique)
        done = take_key(t, put);
    if (done != 0)
        return done < 0 ? -1 : 0;
    if (sq_put_row(t, put) != 0)
        return -1;
    return put->verdict == JOBQ_OK ? sq_quota_count(t, put->group) : 0;
}

/* Is the nominal time of a tick dealt with by this verdict? Otherwise it can be tried again. */
static bool settles(int verdict)
{
    return verdict == JOBQ_OK || verdict == JOBQ_DUPLICATE || verdict == JOBQ_REPLACED || verdict == JOBQ_EXTENDED ||
           verdict == JOBQ_SUCCESSOR;
}

static int make_one(struct turn *t, struct jobq_put *put, const struct jobq_change *changes)
{
    if (!put->tick || (put->only_if >= 0 && changes[put->only_if].verdict != JOBQ_OK))
        return make(t, put, changes);
    clear_answer(put);
    t->only_puts = false;
    int done = answer_already(t, put);
    if (done != 0)
        return done < 0 ? -1 : 0;
    if (sq_tick_guard(t, put->tick, &put->verdict) != 0)
        return -1;
    if (put->verdict != JOBQ_OK || put->tick->mode != JOBQ_TICK_PUT)
        return 0;
    if (make(t, put, changes) != 0)
        return -1;
    return settles(put->verdict) ? sq_tick_settle(t, put->tick) : 0;
}

/* ---- plain ones that follow each other ------------------------------------------------------------------------------ */

/* One row costs a statement that opens three trees and closes them again, so eight share it. */
#define TOGETHER 8

/* Is nothing in its way but its id and its key, should they be there? */
static bool is_plain(const struct jobq_put *put)
{
    return !put->tick && put->only_if < 0 && !put->parent_count && !sq_is_bulky(put->payload);
}

/* 1 nothing limits how many may be put, 0 something does, -1. */
static int is_free(struct turn *t, const struct jobq_put *put)
{
    bool has_quota;
    const struct queue *bounded;
    if (find_bounded(t, put, &bounded) != 0 || sq_quota_has(t, put->group, &has_quota) != 0)
        return -1;
    return !bounded && !has_quota;
}

/* All or none of them. 1 they are there, 0 one of them cannot be, -1. */
static int add_all(struct turn *t, enum sql which, const struct value *values, int count)
{
    if (sq_run(t->s, which, values, count) == 0)
        return 1;
    return sq_fault_class(t->s) == JOBQ_FAILURE_REFUSED ? 0 : -1;
}

static int take_keys(struct turn *t, const struct jobq_put *puts)
{
    struct value values[TOGETHER * KEY_VALUES];
    for (size_t i = 0; i < TOGETHER; i++)
        sq_key_values(&puts[i].id, puts[i].unique, jobq_add_ms(t->now, puts[i].unique->window_ms),
                      &values[i * KEY_VALUES]);
    return add_all(t, SQL_KEY_NEW_8, values, TOGETHER * KEY_VALUES);
}

static int give_keys_up(struct turn *t, const struct jobq_put *puts)
{
    for (size_t i = 0; i < TOGETHER; i++)
        if (sq_key_give_up(t, &puts[i].id, puts[i].unique->scope) != 0)
            return -1;
    return 0;
}

static int put_rows(struct turn *t, const struct jobq_put *puts, struct job *jobs)
{
    struct value values[TOGETHER * ROW_VALUES];
    struct pack rests[TOGETHER];
    for (size_t i = 0; i < TOGETHER; i++)
        row_values(t, &puts[i], &jobs[i], &rests[i], &values[i * ROW_VALUES]);
    int done = add_all(t, SQL_JOB_PUT_8, values, TOGETHER * ROW_VALUES);
    int64_t last = sqlite3_last_insert_rowid(t->s->db);
    for (size_t i = 0; i < TOGETHER; i++)
        jobs[i].n = last - (int64_t)(TOGETHER - 1 - i);
    return done;
}

/* The first eight of `count`. 1 they are put, 0 nothing is done: they are for make_one, -1. */
static int make_together(struct turn *t, struct jobq_put *puts, size_t count)
{
    struct job jobs[TOGETHER];
    struct lane_mark marks[TOGETHER];
    if (count < TOGETHER)
        return 0;
    for (size_t i = 0; i < TOGETHER; i++) {
        int goes = is_plain(&puts[i]) && !puts[i].unique == !puts[0].unique ? is_free(t, &puts[i]) : 0;
        if (goes <= 0)
            return goes;
    }
    for (size_t i = 0; i < TOGETHER; i++)
        if (prepare(t, &puts[i], 0, &jobs[i], &marks[i]) != 0)
            return -1;
    int done = puts->unique ? take_keys(t, puts) : 1;
    if (done <= 0)
        return done;
    done = put_rows(t, puts, jobs);
    if (done <= 0)
        return done == 0 && puts->unique ? give_keys_up(t, puts) : done;
    for (size_t i = 0; i < TOGETHER; i++) {
        clear_answer(&puts[i]);
        if (has_come(t, &puts[i], &jobs[i], &marks[i]) != 0)
            return -1;
    }
    return 1;
}

/* Where ids or keys are there already more will be: the rest of the exchange is asked one by one. */
int sq_puts_make(struct turn *t, struct jobq_exchange *x)
{
    bool apart = false;
    for (size_t i = 0; i < x->put_count;) {
        int done = apart ? 0 : make_together(t, &x->puts[i], x->put_count - i);
        apart |= done == 0;
        t->guilty_put = done > 0 ? -1 : (int32_t)i;
        if (done < 0 || (done == 0 && make_one(t, &x->puts[i], x->changes) != 0))
            return -1;
        i += done ? TOGETHER : 1;
    }
    t->guilty_put = -1;
    return 0;
}
