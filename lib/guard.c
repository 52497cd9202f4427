/* SPDX-License-Identifier: MIT */
/* The small decisions that every store must make alike: guards, keys, times. */
#include <jobq/backend.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int jobq_error_set(struct jobq_error *err, int status, const char *field, const char *format, ...)
{
    if (!err)
        return status;
    err->status = status;
    snprintf(err->field, sizeof err->field, "%s", field ? field : "");
    va_list args;
    va_start(args, format);
    if (vsnprintf(err->text, sizeof err->text, format, args) < 0)
        err->text[0] = 0;
    va_end(args);
    return status;
}

int64_t jobq_add_ms(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return a < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

int64_t jobq_time_of(const struct jobq_time *when, int64_t own, int64_t now)
{
    switch (when->base) {
    case JOBQ_TIME_NOW:
        return jobq_add_ms(now, when->offset_ms);
    case JOBQ_TIME_LATER:
        return jobq_add_ms(own > now ? own : now, when->offset_ms);
    case JOBQ_TIME_ABS:
        return when->offset_ms;
    case JOBQ_TIME_ROW:
        return jobq_add_ms(own, when->offset_ms);
    default:
        return own;
    }
}

int jobq_shown_state(int row_state, int64_t run_at_ms, int64_t now_ms)
{
    switch (row_state) {
    case JOBQ_ROW_BLOCKED:
        return JOBQ_BLOCKED;
    case JOBQ_ROW_WAITING:
        return run_at_ms <= now_ms ? JOBQ_READY : JOBQ_SCHEDULED;
    case JOBQ_ROW_RUNNING:
        return JOBQ_RUNNING;
    case JOBQ_ROW_COMPLETED:
        return JOBQ_COMPLETED;
    case JOBQ_ROW_DEAD:
        return JOBQ_DEAD;
    case JOBQ_ROW_CANCELLED:
        return JOBQ_CANCELLED;
    default:
        return 0;
    }
}

static int stale_as(int *stale, int reason)
{
    *stale = reason;
    return JOBQ_STALE;
}

static int edits_differ(const struct jobq_change *change, const struct jobq_row *row)
{
    return change->edits != JOBQ_ANY_EDITS && change->edits != row->edits;
}

static int guard_token(const struct jobq_change *change, const struct jobq_row *row, int *stale)
{
    if (!JOBQ_MUTANT(1) && memcmp(&change->token, &row->token, sizeof row->token) != 0)
        return stale_as(stale, JOBQ_STALE_OVERTAKEN);
    if (row->outcome != JOBQ_OUTCOME_NONE && row->outcome == change->outcome)
        return JOBQ_ALREADY;
    if (row->outcome == JOBQ_OUTCOME_VOID)
        return stale_as(stale, JOBQ_STALE_VOID);
    if (row->outcome != JOBQ_OUTCOME_NONE || row->state != JOBQ_ROW_RUNNING)
        return stale_as(stale, JOBQ_STALE_OUTCOME);
    return edits_differ(change, row) ? JOBQ_OUTDATED : JOBQ_OK;
}

static int guard_state(const struct jobq_change *change, const struct jobq_row *row, int *stale)
{
    if (!(change->allowed & JOBQ_ROW_BIT((unsigned)row->state)))
        return stale_as(stale, JOBQ_STALE_STATE);
    return edits_differ(change, row) ? JOBQ_OUTDATED : JOBQ_OK;
}

/* A secret: the time of comparing must not tell how much of it was right. */
static int digest_equal(const uint8_t *a, const uint8_t *b)
{
    unsigned differs = 0;
    for (size_t i = 0; i < 32; i++)
        differs |= (unsigned)(a[i] ^ b[i]);
    return differs == 0;
}

int jobq_change_guard(const struct jobq_change *change, const struct jobq_row *row, const uint8_t *digest, int used,
                      int *stale)
{
    *stale = JOBQ_STALE_NONE;
    if (!row)
        return stale_as(stale, JOBQ_STALE_GONE);
    switch (change->by) {
    case JOBQ_BY_TOKEN:
        return guard_token(change, row, stale);
    case JOBQ_BY_CALLBACK:
        if (!digest || !digest_equal(digest, change->digest))
            return stale_as(stale, JOBQ_STALE_DIGEST);
        return used ? JOBQ_ALREADY : guard_state(change, row, stale);
    case JOBQ_BY_OPERATOR:
        return guard_state(change, row, stale);
    default: /* authorised by nothing */
        return stale_as(stale, JOBQ_STALE_STATE);
    }
}

int jobq_key_holds(int hold, int state, int claimed, int64_t window_until_ms, int64_t now_ms)
{
    int live = state == JOBQ_ROW_BLOCKED || state == JOBQ_ROW_WAITING || state == JOBQ_ROW_RUNNING;
    switch (hold) {
    case JOBQ_HOLD_LIVE:
        return live;
    case JOBQ_HOLD_WAITING:
        return live && state != JOBQ_ROW_RUNNING && !claimed;
    case JOBQ_HOLD_UNRESOLVED:
        return live || state == JOBQ_ROW_DEAD;
    case JOBQ_HOLD_WINDOW:
        return live || ((state == JOBQ_ROW_COMPLETED || state == JOBQ_ROW_DEAD) && now_ms < window_until_ms);
    case JOBQ_HOLD_FOREVER:
        return 1;
    default:
        return live;
    }
}
