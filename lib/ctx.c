/* SPDX-License-Identifier: MIT */
/* What a handler sees of its job, and what it can say about it. Nothing in here touches the store, except
 * for the callback token, which must be durable before it is given away. */
#include "worker.h"

#include <stdlib.h>
#include <string.h>

#define FOLLOW_UPS_MAX (EXCHANGE_ITEMS - 1)

const struct jobq_job *jobq_ctx_job(const struct jobq_ctx *ctx)
{
    return &ctx->job;
}

uint32_t jobq_ctx_flags(const struct jobq_ctx *ctx)
{
    return atomic_load(&ctx->flags);
}

static int keep_bytes(struct jobq_bytes *kept, const void *data, size_t size)
{
    void *copy = malloc(size ? size : 1);

    if (!copy)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for %zu bytes", size);
    if (size)
        memcpy(copy, data, size);
    free((void *)(uintptr_t)kept->data);
    *kept = (struct jobq_bytes){ copy, size };
    return JOBQ_OK;
}

static int check_data(const char *field, const void *data, size_t size, size_t high)
{
    if (!data && size)
        return fail_with(JOBQ_INVALID, field, "%s: is NULL but has %zu bytes", field, size);
    return check_size(field, size, high);
}

int jobq_ctx_result(struct jobq_ctx *ctx, const void *result, size_t result_bytes)
{
    int rc = check_data("result", result, result_bytes, ctx->worker->q->options.result_max_bytes);

    if (rc == JOBQ_OK && !result) { /* taken back */
        free((void *)(uintptr_t)ctx->result.data);
        ctx->result = (struct jobq_bytes){ NULL, 0 };
        return JOBQ_OK;
    }
    return rc == JOBQ_OK ? keep_bytes(&ctx->result, result, result_bytes) : rc;
}

int jobq_ctx_error(struct jobq_ctx *ctx, const void *text, size_t text_bytes)
{
    if (!text)
        text_bytes = 0;
    return keep_bytes(&ctx->error, text,
                      text_bytes < ERROR_TEXT_MAX_BYTES ? text_bytes : ERROR_TEXT_MAX_BYTES);
}

int jobq_ctx_delay(struct jobq_ctx *ctx, int64_t delay_ms)
{
    int rc = check_range("delay_ms", delay_ms, 0, MAX_MS);

    if (rc != JOBQ_OK)
        return rc;
    ctx->has_delay = true;
    ctx->delay_ms = delay_ms;
    return JOBQ_OK;
}

int jobq_ctx_progress(struct jobq_ctx *ctx, const void *progress, size_t progress_bytes)
{
    struct pool *pool = &ctx->worker->pool;
    int rc = check_data("progress", progress, progress_bytes, PROGRESS_MAX_BYTES);
    bool first;

    if (rc != JOBQ_OK)
        return rc;
    pthread_mutex_lock(&pool->lock);
    if (!ctx->progress)
        ctx->progress = malloc(PROGRESS_MAX_BYTES);
    if (!ctx->progress) {
        pthread_mutex_unlock(&pool->lock);
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for the progress");
    }
    if (progress_bytes)
        memcpy(ctx->progress, progress, progress_bytes);
    ctx->progress_bytes = progress_bytes;
    ctx->progress_new = true;
    first = !pool->progress_new;
    pool->progress_new = true;
    pthread_mutex_unlock(&pool->lock);
    if (first) /* the turning thread sets itself a deadline; further calls ride along */
        waker_ring(&ctx->worker->waker);
    return JOBQ_OK;
}

/* ---- log ------------------------------------------------------------------------------------------------ */

void job_log_drop(struct jobq_ctx *job, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)job->log[i].data);
    job->log_count -= count;
    if (job->log_count)
        memmove(job->log, job->log + count, job->log_count * sizeof *job->log);
    job->log_sent -= count < job->log_sent ? count : job->log_sent;
}

/* Lock of the pool held. The line is taken over. */
static int add_line(struct jobq_ctx *ctx, struct jobq_bytes line)
{
    if (!ctx->log)
        ctx->log = malloc(LOG_LINES * sizeof *ctx->log);
    if (!ctx->log)
        return -1;
    if (ctx->log_count == LOG_LINES) /* more than a job keeps: the oldest would go anyway */
        job_log_drop(ctx, 1);
    ctx->log[ctx->log_count++] = line;
    return 0;
}

static int check_log(const struct jobq_ctx *ctx, const void *text, size_t text_bytes)
{
    const struct jobq *q = ctx->worker->q;

    if (!handle_has(q, JOBQ_CAP_LOG))
        return fail_with(JOBQ_UNSUPPORTED, NULL, "the %s store keeps no log", q->backend->name);
    if (ctx->acked)
        return fail_with(JOBQ_UNSUPPORTED, NULL, "the job was completed before it started: nothing more is told of it");
    return check_data("text", text, text_bytes, SIZE_MAX);
}

int jobq_ctx_log(struct jobq_ctx *ctx, const void *text, size_t text_bytes)
{
    struct pool *pool = &ctx->worker->pool;
    struct jobq_bytes line = { NULL, 0 };
    int rc = check_log(ctx, text, text_bytes);
    bool first;

    if (rc == JOBQ_OK)
        rc = keep_bytes(&line, text, text_bytes < LOG_TEXT_MAX_BYTES ? text_bytes : LOG_TEXT_MAX_BYTES);
    if (rc != JOBQ_OK)
        return rc;
    pthread_mutex_lock(&pool->lock);
    bool added = add_line(ctx, line) == 0;
    first = added && !pool->progress_new;
    pool->progress_new |= added;
    pthread_mutex_unlock(&pool->lock);
    if (!added) {
        free((void *)(uintptr_t)line.data);
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a line of log");
    }
    if (first)
        waker_ring(&ctx->worker->waker);
    return JOBQ_OK;
}

/* ---- follow-up jobs ----------------------------------------------------------------------------------- */

static int make_room(struct jobq_ctx *ctx)
{
    size_t room = ctx->put_room ? ctx->put_room * 2 : 4;
    struct jobq_put *puts;

    if (!ctx->arena)
        ctx->arena = jobq_arena_create();
    if (!ctx->arena)
        return -1;
    if (ctx->put_count < ctx->put_room)
        return 0;
    puts = realloc(ctx->puts, room * sizeof *puts);
    if (!puts)
        return -1;
    ctx->puts = puts;
    ctx->put_room = room;
    return 0;
}

static int check_follow_up(const struct jobq_ctx *ctx, const struct jobq_spec *given, struct jobq_spec *spec)
{
    int rc;

    if (!given)
        return fail_with(JOBQ_INVALID, "spec", "spec: is NULL");
    if (ctx->acked)
        return fail_with(JOBQ_UNSUPPORTED, "spec",
                         "spec: the job was completed before it started, nothing can follow it");
    if (ctx->put_count >= FOLLOW_UPS_MAX)
        return fail_with(JOBQ_INVALID, "spec", "spec: a job can have at most %d follow-ups", FOLLOW_UPS_MAX);
    rc = read_struct("spec", given, given->size, offsetof(struct jobq_spec, id), spec, sizeof *spec);
    return rc == JOBQ_OK ? check_spec(ctx->worker->q, spec) : rc;
}

int jobq_ctx_then(struct jobq_ctx *ctx, const struct jobq_spec *given, struct jobq_id *out_id)
{
    struct jobq_spec spec;
    struct put_scratch scratch;
    struct jobq_put put;
    int rc = check_follow_up(ctx, given, &spec);

    if (rc == JOBQ_OK)
        rc = put_of_spec(ctx->worker->q, &spec, &scratch, &put);
    if (rc != JOBQ_OK)
        return rc;
    if (ctx->put_count && ctx->put_bytes + put_bytes(&put) > EXCHANGE_BYTES)
        return fail_with(JOBQ_INVALID, "payload",
                         "payload: the follow-ups of a job can have at most %zu bytes together",
                         EXCHANGE_BYTES);
    if (make_room(ctx) != 0 || put_copy(ctx->arena, &put) != 0)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a follow-up");
    ctx->puts[ctx->put_count++] = put;
    ctx->put_bytes += put_bytes(&put);
    if (out_id)
        *out_id = put.id;
    return JOBQ_OK;
}

int jobq_ctx_callback(struct jobq_ctx *ctx, struct jobq_callback *out)
{
    int rc = jobq_callback_new(ctx->worker->q, &ctx->row.id, &ctx->row.token, out);

    if (rc >= JOBQ_OK)
        ctx->row.has_callback = 1;
    return rc;
}
