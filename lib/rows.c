/* SPDX-License-Identifier: MIT */
/* A row as a value: what puts, claims and changes make of its members. For stores that keep rows as they are; a store
 * that keeps columns says the same in its own language. */
#include <jobq/backend.h>

#include <string.h>

static int is_ended(int state)
{
    return (JOBQ_ROW_BIT((unsigned)state) & JOBQ_ROW_ENDED) != 0;
}

/* ---- put, wait, claim ------------------------------------------------------------------------------------ */

void jobq_row_wait(struct jobq_row *r, int64_t now)
{
    if (r->state == JOBQ_ROW_RUNNING)
        r->lease_until_ms = r->stop_at_ms = 0;
    r->state = JOBQ_ROW_WAITING;
    r->reason = JOBQ_REASON_NONE;
    r->due = r->run_at_ms <= now;
}

void jobq_row_put(struct jobq_row *r, const struct jobq_put *put, uint32_t pending, int64_t now)
{
    memset(r, 0, sizeof *r);
    r->id = put->id;
    r->queue = put->queue;
    r->kind = put->kind;
    r->group = put->group;
    r->payload = put->payload;
    r->payload_bytes = put->payload.size;
    r->policy = put->policy;
    r->key = put->key;
    r->trace = put->trace;
    r->priority = put->priority;
    r->rank_add_ms = put->rank_add_ms;
    r->timeout_ms = put->timeout_ms;
    r->held = put->held != 0;
    r->pending = pending;
    r->created_at_ms = now;
    r->run_at_ms = put->run_at.base == JOBQ_TIME_KEEP ? now : jobq_time_of(&put->run_at, 0, now);
    r->expires_at_ms = jobq_time_of(&put->expires_at, 0, now);
    if (!r->held && !r->pending) {
        jobq_row_wait(r, now);
        return;
    }
    r->state = JOBQ_ROW_BLOCKED;
    r->reason = r->held ? JOBQ_REASON_HOLD : JOBQ_REASON_PARENTS;
}

static int64_t lease_end(const struct jobq_row *r, int64_t now, int64_t lease_ms)
{
    int64_t end = jobq_add_ms(now, lease_ms);
    return r->stop_at_ms && r->stop_at_ms < end ? r->stop_at_ms : end;
}

void jobq_row_claim(struct jobq_row *r, const struct jobq_want *want, int64_t fence, int64_t now)
{
    r->state = JOBQ_ROW_RUNNING;
    r->due = r->resumed = r->ran_alone = 0;
    r->attempt += r->attempt < INT64_MAX;
    r->token = want->token;
    r->fence = fence;
    r->outcome = JOBQ_OUTCOME_NONE;
    r->worker = want->worker;
    r->progress = (struct jobq_bytes){ 0 };
    r->started_at_ms = now;
    r->stop_at_ms = r->timeout_ms > 0 ? jobq_add_ms(now, r->timeout_ms) : 0;
    r->lease_until_ms = lease_end(r, now, want->lease_ms);
}

void jobq_row_extend(struct jobq_row *r, int64_t lease_ms, int64_t now)
{
    int64_t end = lease_end(r, now, lease_ms);
    if (end > r->lease_until_ms)
        r->lease_until_ms = end;
}

/* ---- change ---------------------------------------------------------------------------------------------- */

/* What the change asks for, seen with the row's hold and parents. */
static int target_state(struct jobq_row *r, const struct jobq_change *c, int *reason)
{
    int state = c->state == JOBQ_ROW_KEEP ? r->state : c->state;
    *reason = c->state == JOBQ_ROW_KEEP ? r->reason : c->reason;
    if (c->set & JOBQ_LIFT_HOLD) {
        r->held = 0;
        if (r->state == JOBQ_ROW_BLOCKED && r->pending == 0)
            state = JOBQ_ROW_WAITING;
        else if (state == JOBQ_ROW_BLOCKED)
            *reason = JOBQ_REASON_PARENTS;
    }
    if (c->set & JOBQ_BLOCK_AGAIN && r->pending) {
        state = JOBQ_ROW_BLOCKED;
        *reason = JOBQ_REASON_PARENTS;
    }
    return state;
}

static void set_state(struct jobq_row *r, int state, int reason, int64_t now)
{
    int from = r->state;
    r->reason = state == JOBQ_ROW_WAITING ? JOBQ_REASON_NONE : reason;
    if (from == state)
        return;
    if (from == JOBQ_ROW_RUNNING)
        r->lease_until_ms = r->stop_at_ms = 0;
    if (is_ended(from)) {
        r->finished_at_ms = r->expires_at_ms = 0;
        r->result = (struct jobq_bytes){ 0 };
    }
    r->state = state;
    r->due = state == JOBQ_ROW_WAITING && r->run_at_ms <= now;
    if (is_ended(state)) {
        r->finished_at_ms = now;
        r->pending = 0;
    }
}

static void set_bytes(struct jobq_row *r, const struct jobq_change *c)
{
    if (c->set & JOBQ_SET_RESULT)
        r->result = c->result;
    if (c->set & JOBQ_SET_PROGRESS)
        r->progress = c->progress;
    if (c->set & JOBQ_SET_CALLBACK)
        r->data = (struct jobq_bytes){ 0 };
    if (c->set & JOBQ_SET_DATA)
        r->data = c->data;
    if (c->set & JOBQ_SET_PAYLOAD) {
        r->payload = c->payload;
        r->payload_bytes = c->payload.size;
    }
}

static void set_counters(struct jobq_row *r, const struct jobq_change *c)
{
    r->failures = c->failures;
    r->crashes = c->crashes;
    r->snoozes = c->snoozes;
    r->releases = c->releases;
    r->redrives = c->redrives;
}

static void set_numbers(struct jobq_row *r, const struct jobq_change *c, int64_t now)
{
    if (c->set & JOBQ_SET_COUNTERS)
        set_counters(r, c);
    if (c->set & JOBQ_SET_RUN_AT) {
        r->run_at_ms = jobq_time_of(&c->run_at, r->run_at_ms, now);
        r->due = r->state == JOBQ_ROW_WAITING && r->run_at_ms <= now;
    }
    if (c->set & JOBQ_SET_CALLBACK)
        r->resumed = 0;
    if (c->set & JOBQ_SET_DEADLINE)
        r->callback_until_ms = jobq_time_of(&c->callback_until, r->callback_until_ms, now);
    if (c->set & JOBQ_SET_CANCEL_ASKED)
        r->cancel_asked = 1;
    if (c->set & JOBQ_CLEAR_CANCEL)
        r->cancel_asked = 0;
    if (c->set & JOBQ_SET_ALONE)
        r->alone = c->alone != 0;
    if (c->set & JOBQ_SET_RESUMED)
        r->resumed = 1;
    if (c->set & JOBQ_SET_LEASE)
        jobq_row_extend(r, c->lease_ms, now);
}

void jobq_row_change(struct jobq_row *r, const struct jobq_change *c, int64_t now)
{
    int reason, state = target_state(r, c, &reason);
    if (c->by != JOBQ_BY_TOKEN)
        r->edits += r->edits < UINT32_MAX;
    if (c->outcome != JOBQ_OUTCOME_NONE)
        r->outcome = c->outcome;
    set_state(r, state, reason, now);
    set_bytes(r, c);
    set_numbers(r, c, now);
}

/* ---- overdue --------------------------------------------------------------------------------------------- */

static int64_t or_never(int64_t instant)
{
    return instant ? instant : INT64_MAX;
}

int64_t jobq_row_overdue_at(const struct jobq_row *r)
{
    if (r->state == JOBQ_ROW_RUNNING)
        return r->lease_until_ms;
    if (is_ended(r->state))
        return INT64_MAX;
    int64_t at = or_never(r->expires_at_ms);
    if (r->state == JOBQ_ROW_BLOCKED && r->reason == JOBQ_REASON_CALLBACK && or_never(r->callback_until_ms) < at)
        at = r->callback_until_ms;
    return at;
}

int jobq_row_overdue(const struct jobq_row *r, int64_t now)
{
    if (r->state == JOBQ_ROW_RUNNING)
        return r->stop_at_ms && r->stop_at_ms <= now ? JOBQ_OVERDUE_TIMEOUT : JOBQ_OVERDUE_LEASE;
    if (is_ended(r->state))
        return JOBQ_OVERDUE_EDGES;
    if (r->state == JOBQ_ROW_BLOCKED && r->reason == JOBQ_REASON_CALLBACK && or_never(r->callback_until_ms) <= now)
        return JOBQ_OVERDUE_CALLBACK;
    return JOBQ_OVERDUE_EXPIRED;
}

/* ---- queries --------------------------------------------------------------------------------------------- */

static int same_or_any(struct jobq_bytes wanted, struct jobq_bytes is)
{
    return !wanted.data || (is.data && wanted.size == is.size && memcmp(wanted.data, is.data, is.size) == 0);
}

int jobq_query_matches(const struct jobq_query *query, const struct jobq_row *r, int64_t now)
{
    uint32_t shown = 1u << jobq_shown_state(r->state, r->run_at_ms, now);
    int64_t since = is_ended(r->state) ? r->finished_at_ms : r->created_at_ms;
    return same_or_any(query->queue, r->queue) && same_or_any(query->kind, r->kind) &&
           same_or_any(query->group, r->group) && (!query->states || query->states & shown) &&
           (!query->reason || query->reason == r->reason) &&
           (query->older_ms <= 0 || since <= jobq_add_ms(now, -query->older_ms));
}
