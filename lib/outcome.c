/* SPDX-License-Identifier: MIT */
/* A claimed job's verbs: claim, ack, fail, extend, release, snooze, progress, park and the callback that ends it. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- one change ------------------------------------------------------------------------------------------------------ */

static const char *stale_text(int stale)
{
    switch (stale) {
    case JOBQ_STALE_GONE:
        return "no such job";
    case JOBQ_STALE_OVERTAKEN:
        return "another claim has taken the job";
    case JOBQ_STALE_VOID:
        return "the job was cancelled";
    case JOBQ_STALE_OUTCOME:
        return "another outcome was given under this token";
    case JOBQ_STALE_DIGEST:
        return "not the job's callback token";
    default:
        return "the state of the job does not allow this";
    }
}

int status_of_change(const struct jobq_change *change)
{
    switch (change->verdict) {
    case JOBQ_OK:
    case JOBQ_ALREADY:
        return change->verdict;
    case JOBQ_STALE:
        if (change->stale == JOBQ_STALE_GONE)
            return fail_with(JOBQ_NOT_FOUND, "id", "no such job");
        if (change->by == JOBQ_BY_OPERATOR)
            return fail_with(JOBQ_STATE, NULL, "%s", stale_text(change->stale));
        return fail_with(JOBQ_STALE, NULL, "%s", stale_text(change->stale));
    case JOBQ_DUPLICATE:
        return fail_with(JOBQ_HELD, "key", "key: is held by another job");
    case JOBQ_OUTDATED:
        return fail_with(JOBQ_FAILED, NULL, "the job was edited again and again meanwhile");
    default:
        return change->verdict;
    }
}

static int copy_log(struct jobq_arena *arena, struct jobq_change *change)
{
    struct jobq_bytes *log = jobq_arena_alloc(arena, change->log_count * sizeof *log + 1);

    if (!log)
        return -1;
    for (size_t i = 0; i < change->log_count; i++)
        if (jobq_arena_bytes(arena, change->log[i].data, change->log[i].size, &log[i]) != 0)
            return -1;
    change->log = log;
    return 0;
}

/* Run one change that owns its bytes in the call's arena. *answer (may be NULL) receives the change as answered. */
static int run_change(struct jobq *q, struct call *call, struct jobq_change *change, struct jobq_change *answer)
{
    struct jobq_bytes *const bytes[] = { &change->result, &change->progress, &change->data, &change->payload,
                                         &change->error };
    struct jobq_change *own = jobq_arena_alloc(call->arena, sizeof *own);

    if (own && copy_log(call->arena, change) != 0)
        own = NULL;
    for (size_t i = 0; own && i < sizeof bytes / sizeof bytes[0]; i++)
        if (bytes[i]->data && jobq_arena_bytes(call->arena, bytes[i]->data, bytes[i]->size, bytes[i]) != 0)
            own = NULL;
    if (!own)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a change");
    *own = *change;
    call->changes = own;
    call->change_count = 1;
    int rc = call_run(q, call, 0);
    if (rc != JOBQ_OK)
        return rc;
    if (answer)
        *answer = *own;
    return status_of_change(own);
}

static int run_about(struct jobq *q, struct jobq_change *change, const struct jobq_row *row, struct jobq_change *answer)
{
    struct call *call = call_create();

    if (call && row)
        call->about = &row;
    int rc = call ? run_change(q, call, change, answer) : fail_with(JOBQ_NOMEM, NULL, "out of memory for a change");

    if (answer)
        answer->row = NULL; /* it lived in the call */
    call_unref(call);
    return rc;
}

static int run_simple(struct jobq *q, struct jobq_change *change, struct jobq_change *answer)
{
    return run_about(q, change, NULL, answer);
}

static int check_token(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token)
{
    int rc = handle_check(q);

    if (rc == JOBQ_OK && !id)
        return fail_with(JOBQ_INVALID, "id", "id: is NULL");
    if (rc == JOBQ_OK && !token)
        return fail_with(JOBQ_INVALID, "token", "token: is NULL");
    return rc;
}

/* Outcomes whose policy needs the row: read it, compute, send; again when it was edited in between. */
static int settle(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token,
                  const struct verdict_said *said)
{
    int rc = JOBQ_OUTDATED;

    for (int round = 0; rc == JOBQ_OUTDATED && round < 8; round++) {
        struct jobq_query query = { .size = sizeof query, .ids = id, .id_count = 1, .limit = 1 };
        struct jobq_arena *arena = jobq_arena_create();
        struct jobq_change change;
        rc = read_rows(q, &query, arena);
        if (rc == JOBQ_OK && query.row_count == 0)
            rc = fail_with(JOBQ_NOT_FOUND, "id", "no such job");
        if (rc == JOBQ_OK && said->outcome == JOBQ_PARK && !query.rows[0].has_callback && !query.rows[0].resumed &&
            query.rows[0].state == JOBQ_ROW_RUNNING)
            rc = fail_with(JOBQ_STATE, NULL, "the job has no callback token: make one before parking");
        if (rc == JOBQ_OK) {
            policy_outcome(&query.rows[0], said, random_dice(), &change);
            change.token = *token;
            struct jobq_change answer = { .verdict = 0 };
            rc = run_about(q, &change, &query.rows[0], &answer);
            if (rc == JOBQ_FAILED && answer.verdict == JOBQ_OUTDATED)
                rc = JOBQ_OUTDATED;
        }
        jobq_arena_destroy(arena);
    }
    return rc == JOBQ_OUTDATED ? fail_with(JOBQ_FAILED, NULL, "the job was edited again and again meanwhile") : rc;
}

int jobq_ack(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, const void *result,
             size_t result_bytes)
{
    struct jobq_change change;
    int rc = check_token(q, id, token);

    if (rc == JOBQ_OK)
        rc = check_size("result", result_bytes, q->options.result_max_bytes);
    if (rc == JOBQ_OK && !result && result_bytes)
        rc = fail_with(JOBQ_INVALID, "result", "result: is NULL but has %zu bytes", result_bytes);
    if (rc != JOBQ_OK)
        return rc;
    policy_complete(id, token, (struct jobq_bytes){ result, result_bytes }, false, &change);
    return run_simple(q, &change, NULL);
}

int jobq_fail(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token,
              const struct jobq_failure *given)
{
    struct jobq_failure failure = { .size = sizeof failure };
    int rc = check_token(q, id, token);

    if (rc == JOBQ_OK && given)
        rc = read_struct("failure", given, given->size, sizeof failure, &failure, sizeof failure);
    if (rc == JOBQ_OK && failure.has_retry_in)
        rc = check_range("retry_in_ms", failure.retry_in_ms, 0, MAX_MS);
    if (rc != JOBQ_OK)
        return rc;
    struct verdict_said said = {
        .outcome = failure.permanent ? JOBQ_GIVE_UP : JOBQ_RETRY,
        .error = failure.text,
        .has_delay = failure.has_retry_in != 0,
        .delay_ms = failure.retry_in_ms,
    };
    return settle(q, id, token, &said);
}

int jobq_release(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token)
{
    struct verdict_said said = { .outcome = JOBQ_RELEASE };
    int rc = check_token(q, id, token);

    return rc == JOBQ_OK ? settle(q, id, token, &said) : rc;
}

int jobq_snooze(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, int64_t delay_ms)
{
    struct verdict_said said = { .outcome = JOBQ_SNOOZE, .has_delay = true, .delay_ms = delay_ms };
    int rc = check_token(q, id, token);

    if (rc == JOBQ_OK)
        rc = check_range("delay_ms", delay_ms, 0, MAX_MS);
    return rc == JOBQ_OK ? settle(q, id, token, &said) : rc;
}

int jobq_park(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, int64_t deadline_ms)
{
    struct verdict_said said = { .outcome = JOBQ_PARK, .has_delay = true, .delay_ms = deadline_ms };
    int rc = check_token(q, id, token);

    if (rc == JOBQ_OK)
        rc = check_range("deadline_ms", deadline_ms, 1, MAX_MS);
    return rc == JOBQ_OK ? settle(q, id, token, &said) : rc;
}

/* A change under the token that is no outcome. */
static struct jobq_change under_token(const struct jobq_id *id, const struct jobq_token *token, uint32_t set)
{
    return (struct jobq_change){
        .id = *id, .by = JOBQ_BY_TOKEN, .token = *token, .edits = JOBQ_ANY_EDITS, .set = set
    };
}

static void tell_extended(const struct jobq_change *change, int64_t now_ms, struct jobq_extended *out)
{
    const struct jobq_row *row = change->row;
    struct jobq_extended answer = { .size = out->size, .lease_until_ms = change->lease_until_ms };

    if (row) {
        answer.cancel_asked = row->cancel_asked;
        answer.timed_out = row->stop_at_ms && now_ms >= row->stop_at_ms;
    }
    memcpy(out, &answer, out->size < sizeof answer ? out->size : sizeof answer);
}

int jobq_extend(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, int64_t lease_ms,
                struct jobq_extended *out)
{
    int rc = check_token(q, id, token);

    if (rc == JOBQ_OK)
        rc = check_range("lease_ms", lease_ms, LEASE_MIN_MS, LEASE_MAX_MS);
    if (rc == JOBQ_OK && out)
        rc = check_struct("jobq_extended", out->size, offsetof(struct jobq_extended, cancel_asked));
    if (rc != JOBQ_OK)
        return rc;
    struct jobq_change change = under_token(id, token, JOBQ_SET_LEASE), answer;
    struct call *call = call_create();
    change.lease_ms = lease_ms;
    rc = call ? run_change(q, call, &change, &answer) : fail_with(JOBQ_NOMEM, NULL, "out of memory for a change");
    if (rc == JOBQ_OK && out)
        tell_extended(&answer, call->now_ms, out);
    call_unref(call);
    return rc;
}

int jobq_progress(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, const void *progress,
                  size_t progress_bytes)
{
    int rc = check_token(q, id, token);

    if (rc == JOBQ_OK)
        rc = check_size("progress", progress_bytes, PROGRESS_MAX_BYTES);
    if (rc == JOBQ_OK && !progress && progress_bytes)
        rc = fail_with(JOBQ_INVALID, "progress", "progress: is NULL but has %zu bytes", progress_bytes);
    if (rc != JOBQ_OK)
        return rc;
    struct jobq_change change = under_token(id, token, JOBQ_SET_PROGRESS);
    change.progress = (struct jobq_bytes){ progress ? progress : "", progress_bytes };
    return run_simple(q, &change, NULL);
}

int jobq_log(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, const void *text,
             size_t text_bytes)
{
    int rc = check_token(q, id, token);

    if (rc == JOBQ_OK && !text && text_bytes)
        rc = fail_with(JOBQ_INVALID, "text", "text: is NULL but has %zu bytes", text_bytes);
    if (rc == JOBQ_OK && !handle_has(q, JOBQ_CAP_LOG))
        rc = fail_with(JOBQ_UNSUPPORTED, NULL, "the %s store keeps no log", q->backend->name);
    if (rc != JOBQ_OK)
        return rc;
    struct jobq_change change = under_token(id, token, JOBQ_ADD_LOG);
    const struct jobq_bytes line = { text ? text : "", text_bytes < LOG_TEXT_MAX_BYTES ? text_bytes : LOG_TEXT_MAX_BYTES };
    change.log = &line;
    change.log_count = 1;
    return run_simple(q, &change, NULL);
}

/* ---- callbacks ------------------------------------------------------------------------------------------------------------ */

static void callback_digest(const struct jobq_callback *callback, uint8_t out[32])
{
    struct sha256 s;

    sha256_init(&s);
    sha256_add(&s, callback->bytes, sizeof callback->bytes);
    sha256_end(&s, out);
}

int jobq_callback_new(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token,
                      struct jobq_callback *out)
{
    int rc = check_token(q, id, token);

    if (rc != JOBQ_OK)
        return rc;
    memcpy(out->bytes, id->bytes, sizeof id->bytes);
    if (random_bytes(out->bytes + 16, 16) != 0)
        return fail_with(JOBQ_FAILED, NULL, "no random bytes from the system");
    struct jobq_change change = under_token(id, token, JOBQ_SET_CALLBACK);
    callback_digest(out, change.digest);
    return run_simple(q, &change, NULL);
}

/* One try: read where the job stands, then resume it there. OUTDATED or a state that moved on in between: again. */
static int resume_once(struct jobq *q, const struct jobq_id *id, const uint8_t digest[32], struct jobq_bytes data,
                       bool *again)
{
    struct jobq_query query = { .size = sizeof query, .ids = id, .id_count = 1, .limit = 1 };
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_change change, answer = { .verdict = 0 };
    int rc = read_rows(q, &query, arena);

    *again = false;
    if (rc == JOBQ_OK && query.row_count == 0)
        rc = fail_with(JOBQ_NOT_FOUND, "callback", "no such job");
    if (rc == JOBQ_OK) {
        policy_resume(&query.rows[0], data, digest, &change);
        rc = run_about(q, &change, &query.rows[0], &answer);
        *again = answer.verdict == JOBQ_OUTDATED ||
                 (answer.verdict == JOBQ_STALE && answer.stale == JOBQ_STALE_STATE && change.allowed != 0 &&
                  (query.rows[0].state == JOBQ_ROW_RUNNING || query.rows[0].state == JOBQ_ROW_BLOCKED));
    }
    jobq_arena_destroy(arena);
    return rc;
}

int jobq_unpark(struct jobq *q, const struct jobq_callback *callback, const void *data, size_t data_bytes)
{
    uint8_t digest[32];
    struct jobq_id id;
    bool again = true;
    int rc = handle_check(q);

    if (rc == JOBQ_OK && !callback)
        rc = fail_with(JOBQ_INVALID, "callback", "callback: is NULL");
    if (rc == JOBQ_OK)
        rc = check_size("data", data_bytes, q->options.payload_max_bytes);
    if (rc != JOBQ_OK)
        return rc;
    memcpy(id.bytes, callback->bytes, sizeof id.bytes);
    callback_digest(callback, digest);
    for (int round = 0; again && round < 8; round++)
        rc = resume_once(q, &id, digest, (struct jobq_bytes){ data ? data : "", data_bytes }, &again);
    return rc;
}
