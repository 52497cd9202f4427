/* SPDX-License-Identifier: MIT */
/*
 * A step whose orders and results are jobs, for those who reach the store but not our port, nor we theirs.
 *
 *   video.PART.orders  {"jobId", "callback", ... the step's payload}: pulled by whoever does the step
 *   video.results      {"callback", "result": {...}}: put by him, and drained here: it wakes the step
 *
 * Whoever may put a job is trusted with the store already, so nothing is signed; the callback token still
 * says whose result it is, once, and an order that was replaced is answered without effect.
 */
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "work.h"

#define FULL_WAIT_MS  5000
#define UNKNOWN_TRIES 3

static int64_t deadline_of(const struct station *station)
{
    return station->work->deadline_ms > 0 ? station->work->deadline_ms : parts[station->part].deadline_ms;
}

static char *order_text(const struct jobq_ctx *ctx, const json_t *payload,
                        const struct jobq_callback *callback)
{
    json_t *order = json_copy((json_t *)(uintptr_t)payload);
    char token[65];
    char *text = NULL;

    jobq_callback_format(callback, token);
    if (order && json_object_set_new(order, "callback", json_string(token)) == 0 &&
        json_object_set_new(order, "jobId", json_of_id(&jobq_ctx_job(ctx)->id)) == 0)
        text = text_of_json(order);
    json_decref(order);
    return text;
}

/* An order that nobody took before the callback's deadline would be for a token that counts no more. */
static int put(struct jobq_ctx *ctx, const struct station *station, const char *text)
{
    const struct jobq_job *job = jobq_ctx_job(ctx);
    struct jobq_id id;
    const struct jobq_spec spec = {
        .size = sizeof(spec),
        .queue = parts[station->part].orders,
        .group = job->group[0] ? job->group : NULL,
        .payload = {text, strlen(text)},
        .id = &id,
        .priority = job->priority,
        .expires_in_ms = deadline_of(station),
        .timeout_ms = parts[station->part].timeout_ms,
        .trace = job->trace[0] ? job->trace : NULL,
    };
    int status = jobq_id_new(&id);

    if (status == JOBQ_OK)
        status = JOBQ_UNKNOWN;
    for (int i = 0; i < UNKNOWN_TRIES && status == JOBQ_UNKNOWN; i++)
        status = jobq_enqueue(station->work->q, &spec, NULL);
    return status;
}

int put_order(struct jobq_ctx *ctx, const struct station *station, const json_t *payload,
              const struct jobq_callback *callback)
{
    char *text = order_text(ctx, payload, callback);
    int status = text ? put(ctx, station, text) : JOBQ_NOMEM;
    char why[600];

    free(text);
    if (status == JOBQ_OK || status == JOBQ_ALREADY) {
        jobq_ctx_delay(ctx, deadline_of(station));
        return JOBQ_PARK;
    }
    if (status == JOBQ_FULL || status == JOBQ_LIMITED) {
        jobq_ctx_delay(ctx, FULL_WAIT_MS);
        jobq_ctx_progress(ctx, PROGRESS_BUSY, strlen(PROGRESS_BUSY));
        return JOBQ_SNOOZE;
    }
    text_of_error(status, why, sizeof(why));
    return say_error(ctx, JOBQ_RETRY, "the order could not be put: %s", why);
}

/* ---- results --------------------------------------------------------------------------------- */

static int say_effect(struct jobq_ctx *ctx, const char *effect)
{
    return say_result(ctx, json_pack("{s:s}", "effect", effect));
}

static int wake(struct jobq_ctx *ctx, const struct work *work, const struct jobq_callback *callback)
{
    const struct jobq_bytes body = jobq_ctx_job(ctx)->payload;
    int status = jobq_unpark(work->q, callback, body.data, body.size);
    char why[600];

    switch (status) {
    case JOBQ_OK:
        return say_effect(ctx, "the step goes on");
    case JOBQ_ALREADY:
        return say_effect(ctx, "none: this result came before");
    case JOBQ_STALE:
    case JOBQ_STATE:
        return say_effect(ctx, "none: the step does not wait for this result");
    case JOBQ_NOT_FOUND:
        return say_error(ctx, JOBQ_GIVE_UP, "there is no such step");
    default:
        text_of_error(status, why, sizeof(why));
        return say_error(ctx, JOBQ_RETRY, "the step could not be woken: %s", why);
    }
}

/* What cannot be read is a dead letter: whoever put it can be told. */
int handle_results(struct jobq_ctx *ctx, void *user)
{
    const struct station *station = user;
    json_t *body = json_of_bytes(jobq_ctx_job(ctx)->payload);
    struct jobq_callback callback;
    int outcome;

    if (jobq_callback_parse(text_member(body, "callback", ""), &callback) != JOBQ_OK)
        outcome = say_error(ctx, JOBQ_GIVE_UP,
                            "callback: it must be the 64 hexadecimal digits that came with the order");
    else if (!json_is_object(json_object_get(body, "result")))
        outcome = say_error(ctx, JOBQ_GIVE_UP, "result: it must be an object");
    else
        outcome = wake(ctx, station->work, &callback);
    json_decref(body);
    return outcome;
}
