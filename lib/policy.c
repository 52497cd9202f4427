/* SPDX-License-Identifier: MIT */
/* What an outcome means: (row, what happened, random bits) -> change. Pure: no clock, no store, no memory. Every store
 * obeys the rules of lifecycle.md because they are here and nowhere else. */
#include "internal.h"
#include "transitions.h"

#include <string.h>

/* ---- back-off ------------------------------------------------------------------------------------------------ */

static int64_t mul_capped(int64_t value, int64_t percent, int64_t cap)
{
    if (value > INT64_MAX / percent)
        return cap;
    value = value * percent / 100;
    return value < cap ? value : cap;
}

static int64_t plain_delay(const struct job_policy *p, int32_t failures)
{
    int64_t delay = p->base_ms;

    switch (p->backoff_kind) {
    case JOBQ_BACKOFF_LIST:
        return p->list_ms[(uint32_t)failures <= p->list_count ? failures - 1 : (int32_t)p->list_count - 1];
    case JOBQ_BACKOFF_LINEAR:
        return delay > p->cap_ms / failures ? p->cap_ms : delay * failures;
    case JOBQ_BACKOFF_EXPONENTIAL:
        for (int32_t i = 1; i < failures && delay < p->cap_ms && delay > 0 && p->factor_percent > 100; i++)
            delay = mul_capped(delay, p->factor_percent, p->cap_ms);
        return delay;
    default:
        return delay;
    }
}

int64_t backoff_delay(const struct job_policy *p, int32_t failures, uint32_t dice)
{
    int64_t delay = plain_delay(p, failures < 1 ? 1 : failures);

    if (delay > p->cap_ms)
        delay = p->cap_ms;
    int64_t spread = delay / 100 * p->jitter_percent + delay % 100 * p->jitter_percent / 100;
    if (spread > 0)
        delay += (int64_t)(((uint64_t)dice * ((uint64_t)spread + 1)) >> 32);
    return delay > p->cap_ms ? p->cap_ms : delay;
}

/* ---- parts of a change ------------------------------------------------------------------------------------------ */

static void change_begin(const struct jobq_row *row, int by, struct jobq_change *out)
{
    *out = (struct jobq_change){
        .id = row->id,
        .by = by,
        .token = row->token,
        .edits = row->edits,
        .failures = row->failures,
        .crashes = row->crashes,
        .snoozes = row->snoozes,
        .releases = row->releases,
        .redrives = row->redrives,
    };
}

static struct jobq_bytes text_bytes(const char *text)
{
    return (struct jobq_bytes){ text, strlen(text) };
}

static void add_error(struct jobq_change *out, int kind, struct jobq_bytes text)
{
    out->set |= JOBQ_ADD_ERROR;
    out->error_kind = kind;
    out->error = text;
    if (out->error.size > ERROR_TEXT_MAX_BYTES)
        out->error.size = ERROR_TEXT_MAX_BYTES;
}

static void run_in(struct jobq_change *out, int64_t delay_ms)
{
    out->set |= JOBQ_SET_RUN_AT;
    out->run_at = (struct jobq_time){ .base = JOBQ_TIME_NOW, .offset_ms = delay_ms };
}

static int32_t add_one(int32_t count)
{
    return count < INT32_MAX ? count + 1 : count;
}

static void end_as(struct jobq_change *out, int state, int reason)
{
    out->state = state;
    out->reason = reason;
}

/* ---- outcomes of a worker ------------------------------------------------------------------------------------------- */

void policy_complete(const struct jobq_id *id, const struct jobq_token *token, struct jobq_bytes result, bool early,
                     struct jobq_change *out)
{
    *out = (struct jobq_change){
        .id = *id,
        .by = JOBQ_BY_TOKEN,
        .token = *token,
        .edits = JOBQ_ANY_EDITS, /* a success counts whatever the operator asked for meanwhile (rule 6) */
        .outcome = JOBQ_OUTCOME_COMPLETE,
        .state = JOBQ_ROW_COMPLETED,
        .reason = early ? JOBQ_REASON_EARLY_ACK : JOBQ_REASON_NONE,
        .set = JOBQ_SET_RESULT,
        .result = result,
    };
}

/* One failure more: back to waiting after `delay_ms` (< 0: the back-off), or the end for `last`. */
static void count_failure(const struct job_policy *p, int64_t delay_ms, int last, uint32_t dice,
                          struct jobq_change *out)
{
    out->outcome = JOBQ_OUTCOME_FAIL;
    out->set |= JOBQ_SET_COUNTERS;
    out->failures = add_one(out->failures);
    if (out->failures >= p->max_attempts) {
        end_as(out, JOBQ_ROW_DEAD, last);
        return;
    }
    out->state = JOBQ_ROW_WAITING;
    run_in(out, delay_ms >= 0 ? delay_ms : backoff_delay(p, out->failures, dice));
}

static void fail_for_good(struct jobq_change *out)
{
    out->outcome = JOBQ_OUTCOME_FAIL;
    out->set |= JOBQ_SET_COUNTERS;
    out->failures = add_one(out->failures);
    end_as(out, JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT);
}

static void give_back(const struct job_policy *p, struct jobq_change *out)
{
    out->outcome = JOBQ_OUTCOME_RELEASE;
    out->set |= JOBQ_SET_COUNTERS;
    out->releases = add_one(out->releases);
    out->state = JOBQ_ROW_WAITING; /* run_at is left: it keeps its place */
    if (out->releases > p->max_releases)
        end_as(out, JOBQ_ROW_DEAD, JOBQ_REASON_ATTEMPTS);
}

static void snooze(const struct job_policy *p, int64_t delay_ms, struct jobq_change *out)
{
    out->outcome = JOBQ_OUTCOME_SNOOZE;
    out->set |= JOBQ_SET_COUNTERS;
    out->snoozes = add_one(out->snoozes);
    out->state = JOBQ_ROW_WAITING;
    run_in(out, delay_ms);
    if (out->snoozes > p->max_snoozes)
        end_as(out, JOBQ_ROW_DEAD, JOBQ_REASON_ATTEMPTS);
}

static void park(const struct jobq_row *row, int64_t delay_ms, struct jobq_change *out)
{
    out->outcome = JOBQ_OUTCOME_PARK;
    if (row->resumed) { /* the callback was faster than the park */
        out->state = JOBQ_ROW_WAITING;
        run_in(out, 0);
        return;
    }
    end_as(out, JOBQ_ROW_BLOCKED, JOBQ_REASON_CALLBACK);
    out->set |= JOBQ_SET_DEADLINE;
    out->callback_until = (struct jobq_time){ .base = JOBQ_TIME_NOW, .offset_ms = delay_ms };
}

/* Rule 6: after a soft cancel every outcome but success ends as cancelled. */
static void obey_cancel(const struct jobq_row *row, struct jobq_change *out)
{
    if (!row->cancel_asked)
        return;
    end_as(out, JOBQ_ROW_CANCELLED, JOBQ_REASON_NONE);
    out->set &= ~(uint32_t)(JOBQ_SET_RUN_AT | JOBQ_SET_DEADLINE);
}

void policy_outcome(const struct jobq_row *row, const struct verdict_said *said, uint32_t dice,
                    struct jobq_change *out)
{
    struct job_policy p;

    if (said->outcome == JOBQ_DONE) {
        policy_complete(&row->id, &row->token, said->result, false, out);
        return;
    }
    if (!job_policy_read(row->policy, &p))
        job_policy_default(&p);
    change_begin(row, JOBQ_BY_TOKEN, out);
    switch (said->outcome) {
    case JOBQ_GIVE_UP:
        fail_for_good(out);
        break;
    case JOBQ_SNOOZE:
        snooze(&p, said->has_delay ? said->delay_ms : 0, out);
        break;
    case JOBQ_RELEASE:
        give_back(&p, out);
        break;
    case JOBQ_PARK:
        park(row, said->has_delay ? said->delay_ms : 0, out);
        break;
    default:
        count_failure(&p, said->has_delay ? said->delay_ms : -1,
                      said->timed_out ? JOBQ_REASON_TIMEOUT : JOBQ_REASON_ATTEMPTS, dice, out);
    }
    if (out->outcome == JOBQ_OUTCOME_FAIL)
        add_error(out, said->timed_out ? JOBQ_ERROR_TIMEOUT : JOBQ_ERROR_HANDLER, said->error);
    obey_cancel(row, out);
}

/* ---- judgement of overdue rows ----------------------------------------------------------------------------------------- */

static int32_t least_of(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t most_of(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Rule 4. A row lost in company never spends its last chance on a neighbour's crash: it stops one short of the limits
 * and is run alone from then on. */
static void judge_lost(const struct jobq_row *row, const struct job_policy *p, uint32_t dice, struct jobq_change *out)
{
    int32_t crashes = JOBQ_MUTANT(5) ? row->crashes : add_one(row->crashes);
    int32_t failures = JOBQ_MUTANT(5) ? row->failures : add_one(row->failures);

    if (!row->ran_alone || JOBQ_MUTANT(6)) {
        crashes = most_of(row->crashes, least_of(crashes, p->max_crashes - 1));
        failures = most_of(row->failures, least_of(failures, p->max_attempts - 1));
    }
    out->outcome = JOBQ_OUTCOME_FAIL;
    out->crashes = crashes;
    out->failures = failures;
    out->set |= JOBQ_SET_COUNTERS | JOBQ_SET_ALONE;
    out->alone = crashes >= p->max_crashes - 1 || failures >= p->max_attempts - 1;
    add_error(out, JOBQ_ERROR_LOST, text_bytes("the lease ran out"));
    if (crashes >= p->max_crashes && (failures < p->max_attempts || failures == crashes))
        end_as(out, JOBQ_ROW_DEAD, JOBQ_REASON_POISON);
    else if (failures >= p->max_attempts)
        end_as(out, JOBQ_ROW_DEAD, JOBQ_REASON_ATTEMPTS);
    else
        out->state = JOBQ_ROW_WAITING; /* the first time at once and in its place: usually a deploy */
    if (out->state == JOBQ_ROW_WAITING && row->crashes > 0)
        run_in(out, backoff_delay(p, failures, dice));
}

static void judge_callback(const struct jobq_row *row, const struct job_policy *p, uint32_t dice,
                           struct jobq_change *out)
{
    out->by = JOBQ_BY_OPERATOR;
    out->allowed = JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED);
    count_failure(p, -1, JOBQ_REASON_CALLBACK_TIMEOUT, dice, out);
    out->outcome = JOBQ_OUTCOME_NONE;
    out->set |= JOBQ_SET_CALLBACK; /* no digest any more: the late callback is STALE */
    memset(out->digest, 0, sizeof out->digest);
    add_error(out, JOBQ_ERROR_CALLBACK, text_bytes("no callback came before the deadline"));
    (void)row;
}

static void judge_expired(struct jobq_change *out)
{
    out->by = JOBQ_BY_OPERATOR;
    out->allowed = JOBQ_FROM_EXPIRE;
    end_as(out, JOBQ_ROW_DEAD, JOBQ_REASON_EXPIRED);
    add_error(out, JOBQ_ERROR_EXPIRED, text_bytes("not started before it expired"));
}

void policy_overdue(const struct jobq_row *row, uint32_t dice, struct jobq_change *out)
{
    struct job_policy p;

    if (!job_policy_read(row->policy, &p))
        job_policy_default(&p);
    change_begin(row, JOBQ_BY_TOKEN, out);
    switch (row->overdue) {
    case JOBQ_OVERDUE_EXPIRED:
        judge_expired(out);
        return;
    case JOBQ_OVERDUE_CALLBACK:
        judge_callback(row, &p, dice, out);
        return;
    case JOBQ_OVERDUE_TIMEOUT:
        count_failure(&p, -1, JOBQ_REASON_TIMEOUT, dice, out);
        add_error(out, JOBQ_ERROR_TIMEOUT, text_bytes("the job's timeout passed"));
        break;
    default:
        judge_lost(row, &p, dice, out);
        if (JOBQ_MUTANT(2)) {
            out->by = JOBQ_BY_OPERATOR;
            out->allowed = JOBQ_ROW_BIT(JOBQ_ROW_RUNNING) | JOBQ_ROW_ENDED;
        }
    }
    obey_cancel(row, out);
}

bool row_readable(const struct jobq_row *row)
{
    struct job_policy p;

    return job_policy_read(row->policy, &p);
}

void policy_undecodable(const struct jobq_row *row, struct jobq_change *out)
{
    change_begin(row, row->state == JOBQ_ROW_RUNNING ? JOBQ_BY_TOKEN : JOBQ_BY_OPERATOR, out);
    out->allowed = JOBQ_FROM_EXPIRE;
    out->outcome = row->state == JOBQ_ROW_RUNNING ? JOBQ_OUTCOME_FAIL : JOBQ_OUTCOME_NONE;
    end_as(out, JOBQ_ROW_DEAD, JOBQ_REASON_UNDECODABLE);
    add_error(out, JOBQ_ERROR_HANDLER, text_bytes("the stored row cannot be decoded"));
}

void policy_orphan(const struct jobq_edge *child, struct jobq_change *out)
{
    *out = (struct jobq_change){
        .id = child->id,
        .by = JOBQ_BY_OPERATOR,
        .allowed = JOBQ_FROM_PARENT_DEAD,
        .edits = JOBQ_ANY_EDITS,
        .state = child->rule == JOBQ_PARENT_CANCEL ? JOBQ_ROW_CANCELLED : JOBQ_ROW_DEAD,
        .reason = JOBQ_REASON_DEPENDENCY,
    };
    add_error(out, JOBQ_ERROR_PARENT, text_bytes("a job that it waited for did not complete"));
}

/* ---- operator ------------------------------------------------------------------------------------------------------------- */

void policy_cancel(const struct jobq_row *row, bool hard, struct jobq_change *out)
{
    change_begin(row, JOBQ_BY_OPERATOR, out);
    out->allowed = JOBQ_FROM_CANCEL;
    out->state = JOBQ_ROW_CANCELLED;
    if (row->state != JOBQ_ROW_RUNNING)
        return;
    out->allowed = JOBQ_FROM_CANCEL_SOFT;
    if (hard) {
        out->outcome = JOBQ_OUTCOME_VOID;
        return;
    }
    out->state = JOBQ_ROW_KEEP;
    out->set = JOBQ_SET_CANCEL_ASKED;
}

void policy_redrive(const struct jobq_row *row, struct jobq_change *out)
{
    change_begin(row, JOBQ_BY_OPERATOR, out);
    out->allowed = JOBQ_FROM_REDRIVE;
    out->state = JOBQ_ROW_WAITING;
    out->failures = out->crashes = out->snoozes = out->releases = 0;
    out->redrives = add_one(row->redrives);
    out->set = JOBQ_SET_COUNTERS | JOBQ_SET_ALONE | JOBQ_CLEAR_CANCEL | JOBQ_BLOCK_AGAIN;
    if (row->key.data)
        out->set |= JOBQ_TAKE_KEY;
    run_in(out, 0);
}

void policy_resume(const struct jobq_row *row, struct jobq_bytes data, const uint8_t digest[32],
                   struct jobq_change *out)
{
    change_begin(row, JOBQ_BY_CALLBACK, out);
    memcpy(out->digest, digest, sizeof out->digest);
    out->data = data;
    out->set = JOBQ_SET_DATA;
    if (row->state == JOBQ_ROW_RUNNING) { /* faster than the park: remembered, the park becomes "due now" */
        out->allowed = JOBQ_FROM_RESUME_EARLY;
        out->set |= JOBQ_SET_RESUMED;
        return;
    }
    out->allowed = row->reason == JOBQ_REASON_CALLBACK ? JOBQ_FROM_RESUME : 0;
    out->state = JOBQ_ROW_WAITING;
    run_in(out, 0);
}

/* ---- retention -------------------------------------------------------------------------------------------------------------- */

/* How many may be over the count while a worker goes from job to job: one in so many, and no more than that. */
#define TRIM_SLACK_PART 128
#define TRIM_SLACK_MOST 16

bool change_ends(const struct jobq_change *change)
{
    return (JOBQ_ROW_BIT(change->state) & JOBQ_ROW_ENDED) != 0;
}

void policy_trim(const struct keep_values *keep, size_t ended, struct jobq_trim *out)
{
    *out = (struct jobq_trim){ .limit = 0 };
    if (ended == 0)
        return;
    out->limit = 2 * ended + 16 < 512 ? 2 * ended + 16 : 512;
    memcpy(out->keep_count, keep->count, sizeof out->keep_count);
    memcpy(out->keep_ms, keep->ms, sizeof out->keep_ms);
    out->slack_part = TRIM_SLACK_PART;
    out->slack_most = TRIM_SLACK_MOST;
}
