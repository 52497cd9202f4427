/* SPDX-License-Identifier: MIT */
/* One exchange: one transaction. */
#include "store.h"

#include <string.h>

/* ---- before anything is done ---------------------------------------------------------------------------------- */

static int refuse(struct jobq_exchange *x, struct jobq_error *err, int32_t put, const char *what)
{
    x->failure = JOBQ_FAILURE_REFUSED;
    x->guilty_put = put;
    x->want_unit = JOBQ_SKIPPED;
    x->unit = jobq_error_set(err, JOBQ_FAILED, NULL, "sqlite: %s", what);
    return -1;
}

/* What this store does not have. */
static int check(const struct jobq_store *s, struct jobq_exchange *x, struct jobq_error *err)
{
    if (s->inspect)
        return refuse(x, err, -1, "opened to inspect: nothing can be written");
    for (size_t i = 0; i < x->put_count; i++) {
        const struct jobq_put *put = &x->puts[i];
        if (put->only_if >= 0 && (size_t)put->only_if >= x->change_count)
            return refuse(x, err, (int32_t)i, "only_if names no change of this exchange");
    }
    return 0;
}

/* ---- the unit ---------------------------------------------------------------------------------------------------- */

static int do_changes(struct turn *t, struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->change_count; i++) {
        t->guilty_change = (int32_t)i;
        if (sq_change_make(t, &x->changes[i]) != 0)
            return -1;
    }
    t->guilty_change = -1;
    return sq_ends_write(t);
}

static int do_puts(struct turn *t, struct jobq_exchange *x)
{
    bool keys = false;
    for (size_t i = 0; i < x->put_count; i++)
        keys |= x->puts[i].unique != NULL;
    if (keys && sq_keys_fade(t) != 0)
        return -1;
    return sq_puts_make(t, x);
}

static int do_unit(struct turn *t, struct jobq_exchange *x, bool with_want)
{
    bool claims = with_want && x->want && x->want->mode != JOBQ_WANT_OVERDUE;
    if (sq_beat_all(t, x) != 0 || do_changes(t, x) != 0 || do_puts(t, x) != 0)
        return -1;
    t->trim_left = x->trim.limit;
    if (x->trim.limit && sq_trim_run(t, &x->trim, claims) != 0)
        return -1;
    return x->worker ? sq_worker_note(t, x->worker) : 0;
}

/* ---- the transaction ---------------------------------------------------------------------------------------------- */

enum result { RESULT_DONE, RESULT_UNIT, RESULT_WANT, RESULT_UNKNOWN };

/* New rows can only bring the next instant nearer; it is looked for anew when anything else has happened. */
static int find_next_due(struct turn *t, struct jobq_exchange *x)
{
    struct jobq_store *s = t->s;
    bool known = t->only_puts && s->next_epoch == s->epoch && s->next_due > t->now;
    if (known)
        s->next_due = t->put_due < s->next_due ? t->put_due : s->next_due;
    else if (sq_next_due(s, t->now, &s->next_due) != 0)
        return -1;
    s->next_epoch = s->epoch;
    int64_t rate = jobq_add_ms(t->now, t->rate_ms);
    x->next_due_ms = rate < s->next_due ? rate : s->next_due;
    return sq_schedules_next(s, x);
}

static enum result commit(struct turn *t, struct jobq_exchange *x)
{
    bool unknown;
    if (sq_batch_settle(t) != 0 || sq_limits_write(t) != 0 || sq_queue_write(t) != 0 || sq_events_write(t) != 0 || find_next_due(t, x) != 0 ||
        (x->want && sq_wake_seen(t->s) != 0)) {
        sq_tx_rollback(t->s);
        return RESULT_UNIT;
    }
    if (sq_tx_commit(t->s, &unknown) == 0)
        return RESULT_DONE;
    return unknown ? RESULT_UNKNOWN : RESULT_UNIT;
}

static void begin_turn(struct turn *t)
{
    t->s->turns++;
    t->now = 0;
    t->wake = t->happened = t->trims_later = false;
    t->put_due = t->rate_ms = INT64_MAX;
    t->only_puts = false;
    t->ends = (struct ends){ 0 };
    t->touched = NULL;
    t->tenants = NULL;
    t->guilty_change = t->guilty_put = -1;
}

static bool claims_any(const struct jobq_want *want)
{
    for (size_t i = 0; i < want->row_count; i++)
        if (!want->rows[i].overdue)
            return true;
    return false;
}

static enum result transact(struct turn *t, struct jobq_exchange *x, bool with_want)
{
    begin_turn(t);
    t->only_puts = !x->beat_count && !x->change_count && !x->worker && !(with_want && x->want);
    if (sq_tx_begin_write(t->s) != 0)
        return RESULT_UNIT;
    if (sq_clock_write(t->s, &t->now) != 0 || do_unit(t, x, with_want) != 0) {
        sq_tx_rollback(t->s);
        return RESULT_UNIT;
    }
    x->now_ms = t->now;
    if (with_want && sq_want_run(t, x->want) != 0) {
        sq_tx_rollback(t->s);
        return RESULT_WANT;
    }
    if (t->trims_later && !claims_any(x->want) && sq_trim_run(t, &x->trim, false) != 0) {
        sq_tx_rollback(t->s);
        return RESULT_UNIT;
    }
    return commit(t, x);
}

static int fail(struct turn *t, struct jobq_exchange *x, struct jobq_error *err, enum result result)
{
    x->want_unit = JOBQ_SKIPPED;
    x->failure = sq_fault_class(t->s);
    x->guilty_change = t->guilty_change;
    x->guilty_put = t->guilty_put;
    x->unit = sq_fault_report(t->s, err, result == RESULT_UNKNOWN ? JOBQ_UNKNOWN : JOBQ_FAILED);
    return x->unit;
}

static bool writes_nothing(const struct jobq_exchange *x)
{
    return x->want && !x->beat_count && !x->change_count && !x->put_count && !x->trim.limit && !x->worker;
}

/* A want alone that would find nothing. 1 it is answered, 0 there may be something, -1. */
static int answer_empty(struct turn *t, struct jobq_exchange *x)
{
    struct jobq_store *s = t->s;
    bool unknown;
    begin_turn(t);
    if (sq_tx_begin_read(s) != 0)
        return -1;
    int result = sq_clock_read(s, &x->now_ms);
    int possible = result == 0 ? sq_want_possible(s, x->want, x->now_ms) : -1;
    if (possible == 0 && (sq_next_due(s, x->now_ms, &x->next_due_ms) != 0 || sq_schedules_next(s, x) != 0 ||
                          sq_wake_seen(s) != 0))
        possible = -1;
    if (possible < 0)
        sq_tx_rollback(s);
    else if (sq_tx_commit(s, &unknown) != 0)
        possible = -1;
    if (possible == 0)
        sq_want_clear(x->want);
    return possible < 0 ? -1 : !possible;
}

static void settle(struct turn *t, struct jobq_exchange *x)
{
    x->unit = JOBQ_OK;
    if (t->s->attached)
        return;
    if (x->want_unit != JOBQ_OK)
        sq_want_clear(x->want);
    t->s->receipt = jobq_receipt_keep(t->s->receipt, x);
    if (t->wake)
        sq_wake_others(t->s);
    sq_checkpoint_if_due(t->s);
}

static int run(struct turn *t, struct jobq_exchange *x, struct jobq_error *err)
{
    if (writes_nothing(x)) {
        int answered = answer_empty(t, x);
        if (answered < 0)
            return fail(t, x, err, RESULT_UNIT);
        if (answered) {
            x->want_unit = JOBQ_OK;
            settle(t, x);
            return JOBQ_OK;
        }
    }
    enum result result = transact(t, x, x->want != NULL);
    x->want_unit = JOBQ_OK;
    if (result == RESULT_WANT) { /* a want that fails undoes nothing: the unit is done again without it */
        x->want_unit = sq_fault_report(t->s, err, JOBQ_FAILED);
        x->failure = sq_fault_class(t->s);
        result = transact(t, x, false);
    }
    if (result != RESULT_DONE)
        return fail(t, x, err, result);
    settle(t, x);
    return JOBQ_OK;
}

/* ---- the same request again ------------------------------------------------------------------------------------------ */

static int view_claimed(struct turn *t, struct jobq_want *want, const struct jobq_id *ids, size_t count,
                        struct jobq_token token)
{
    struct jobq_row *rows = jobq_arena_alloc(t->arena, count * sizeof *rows);
    if (!rows)
        return sq_fault_memory(t->s);
    want->token = token;
    want->rows = rows;
    want->row_count = 0;
    want->next_cursor = (struct jobq_bytes){ 0 };
    for (size_t i = 0; i < count; i++) {
        struct job job;
        int found = sq_job_find(t->s, &ids[i], &job);
        if (found < 0)
            return -1;
        if (!found || job.row.state != JOBQ_ROW_RUNNING || job.row.outcome != JOBQ_OUTCOME_NONE ||
            memcmp(&job.row.token, &token, sizeof token) != 0)
            continue;
        struct jobq_row *out = &rows[want->row_count++];
        if (sq_view_row(t->s, t->arena, job.n, JOBQ_READ_PAYLOAD, out, NULL) <= 0)
            return -1;
        out->overdue = job.flags & FLAG_SWEPT_LEASE ? JOBQ_OVERDUE_LEASE
                       : job.flags & FLAG_SWEPT_TIMEOUT ? JOBQ_OVERDUE_TIMEOUT : JOBQ_OVERDUE_NONE;
    }
    return 0;
}

static int view_refused(struct turn *t, struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->change_count; i++) {
        struct jobq_change *change = &x->changes[i];
        struct job job;
        if (change->verdict == JOBQ_OK && !(change->set & JOBQ_SET_LEASE))
            continue;
        int found = sq_job_find(t->s, &change->id, &job);
        if (found < 0 || (found && sq_view_one(t->s, t->arena, job.n, &change->row) != 0))
            return -1;
    }
    return 0;
}

static int read_again(struct turn *t, struct jobq_exchange *x, const struct jobq_id *ids, size_t count,
                      struct jobq_token token)
{
    if (sq_clock_read(t->s, &x->now_ms) != 0 || view_refused(t, x) != 0)
        return -1;
    if (x->want && view_claimed(t, x->want, ids, count, token) != 0)
        return -1;
    return sq_next_due(t->s, x->now_ms, &x->next_due_ms) != 0 ? -1 : sq_schedules_next(t->s, x);
}

/* Nothing is done; what was answered is answered again, with the rows as they are now. */
static bool repeat(struct turn *t, struct jobq_exchange *x, struct jobq_error *err)
{
    const struct jobq_id *ids;
    size_t count;
    struct jobq_token token;
    bool unknown;
    if (!jobq_receipt_answer(t->s->receipt, x, &ids, &count, &token))
        return false;
    begin_turn(t);
    int result = sq_tx_begin_read(t->s) != 0 ? -1 : read_again(t, x, ids, count, token);
    if (result == 0)
        result = sq_tx_commit(t->s, &unknown);
    else
        sq_tx_rollback(t->s);
    if (result != 0) /* it did happen, and cannot be told now */
        x->unit = sq_fault_report(t->s, err, JOBQ_UNKNOWN);
    return true;
}

/* Did an outcome of this exchange not count? Then what the program did beside it must not either. */
static bool must_not_commit(const struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->change_count; i++)
        if (x->changes[i].by == JOBQ_BY_TOKEN && (x->unit != JOBQ_OK || x->changes[i].verdict == JOBQ_STALE))
            return true;
    return false;
}

int sq_exchange_run(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err)
{
    struct turn t = { .s = s, .arena = arena };
    x->failure = 0;
    x->guilty_change = x->guilty_put = -1;
    x->now_ms = 0;
    x->next_due_ms = x->next_tick_ms = INT64_MAX;
    if (check(s, x, err) == 0 && !repeat(&t, x, err))
        run(&t, x, err);
    if (s->attached && must_not_commit(x))
        sq_attach_bar(s);
    return x->unit;
}
