/* SPDX-License-Identifier: MIT */
/*
 * A step that somebody else does. The job runs twice, and rests in between:
 *
 *   first   a callback token is stored with the job, then the service is posted to, then the job is parked
 *   later   the callback has come: its body is the job's data, and what is in it becomes the result
 *
 * With SERVICE_QUEUE in place of a URL the order is a job, and the callback comes by another job:
 * run_orders.c.
 *
 * A callback that never comes is a failed attempt: the library puts the job back, and everything starts anew
 * under a fresh token. A service that is busy costs nothing (the job comes back when the service said), one
 * that is away costs an attempt.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "post.h"
#include "text.h"
#include "work.h"

#define BUSY_WAIT_MS    2000
#define BUSY_WAIT_MAX_S 60
#define HEADER_BYTES    512

/* ---- asking ---------------------------------------------------------------------------------- */

/* The message for the service; NULL without memory. */
static char *order_of(const struct jobq_ctx *ctx, const struct station *station, const json_t *payload,
                      const struct jobq_callback *callback)
{
    char token[65], url[PART_NAME_BYTES + 24];
    char *text = NULL, *back;
    json_t *order;

    jobq_callback_format(callback, token);
    snprintf(url, sizeof(url), "/callback/%s-analysis", parts[station->part].name);
    back = post_url(station->work->callback, url);
    order = back ? json_pack("{s:o, s:s, s:s, s:s, s:b}", "jobId", json_of_id(&jobq_ctx_job(ctx)->id),
                             "callback", token, "videoPath", text_member(payload, "video", ""), "callbackUrl",
                             back, "progress", 1)
                 : NULL;
    text = text_of_json(order);
    json_decref(order);
    free(back);
    return text;
}

/* The message id is the attempt's, so that a repetition of the same attempt could be told. */
static int sign(const struct jobq_ctx *ctx, const struct secret *secret, const char *body,
                char headers[3][HEADER_BYTES])
{
    const struct jobq_job *job = jobq_ctx_job(ctx);
    char id[33], message[64], signature[WEBHOOK_SIGNATURE_BYTES];
    int64_t now_s = (int64_t)time(NULL);

    jobq_id_format(&job->id, id);
    snprintf(message, sizeof(message), "req_%s_%d", id, job->attempt);
    if (webhook_sign(&secret->keys[0], message, now_s, body, strlen(body), signature) != 0)
        return -1;
    snprintf(headers[0], HEADER_BYTES, "webhook-id: %s", message);
    snprintf(headers[1], HEADER_BYTES, "webhook-timestamp: %lld", (long long)now_s);
    snprintf(headers[2], HEADER_BYTES, "webhook-signature: %s", signature);
    return 0;
}

static int busy(struct jobq_ctx *ctx, const struct post_answer *answer)
{
    int64_t wait_ms = BUSY_WAIT_MS;

    if (answer->retry_after_s > 0)
        wait_ms = 1000 * (answer->retry_after_s < BUSY_WAIT_MAX_S ? answer->retry_after_s : BUSY_WAIT_MAX_S);
    jobq_ctx_delay(ctx, wait_ms);
    jobq_ctx_progress(ctx, PROGRESS_BUSY, strlen(PROGRESS_BUSY));
    return JOBQ_SNOOZE;
}

static int judge_taking(struct jobq_ctx *ctx, const struct station *station, const struct post_answer *answer)
{
    const struct part_info *part = &parts[station->part];
    char text[300];

    if (answer->status >= 200 && answer->status < 300) {
        jobq_ctx_delay(ctx, station->work->deadline_ms > 0 ? station->work->deadline_ms : part->deadline_ms);
        return JOBQ_PARK;
    }
    if (answer->status == 429)
        return busy(ctx, answer);
    /* What the service does not take now it will not take later; anything else may pass. */
    if (answer->status >= 400 && answer->status < 500 && answer->status != 401 && answer->status != 408)
        return say_error(ctx, JOBQ_GIVE_UP, "the %s service refused: %s", part->name,
                         post_error(answer, text));
    return say_error(ctx, JOBQ_RETRY, "the %s service at %s did not take the job: %s", part->name,
                     station->work->services[station->part], post_error(answer, text));
}

static int send_order(struct jobq_ctx *ctx, const struct station *station, const char *body)
{
    char headers[3][HEADER_BYTES];
    const char *const list[] = {headers[0], headers[1], headers[2], NULL};
    struct post post = {.body = body, .headers = list};
    struct post_answer answer;
    char path[PART_NAME_BYTES + 1];
    char *url;
    int outcome;

    if (sign(ctx, station->work->secret, body, headers) != 0)
        return say_error(ctx, JOBQ_RETRY, "the message could not be signed");
    snprintf(path, sizeof(path), "/%s", parts[station->part].name);
    post.url = url = post_url(station->work->services[station->part], path);
    if (!url)
        return say_error(ctx, JOBQ_RETRY, "out of memory");
    post_run(&post, &answer);
    outcome = judge_taking(ctx, station, &answer);
    json_decref(answer.json);
    free(url);
    return outcome;
}

static int is_queue(const struct station *station)
{
    return strcmp(station->work->services[station->part], SERVICE_QUEUE) == 0;
}

static int post_order(struct jobq_ctx *ctx, const struct station *station, const json_t *payload,
                      const struct jobq_callback *callback)
{
    char *body = order_of(ctx, station, payload, callback);
    int outcome = body ? send_order(ctx, station, body) : say_error(ctx, JOBQ_RETRY, "out of memory");

    free(body);
    return outcome;
}

static int ask(struct jobq_ctx *ctx, const struct station *station)
{
    struct jobq_callback callback;
    json_t *payload = NULL;
    int outcome = read_step(ctx, station->work, &payload);
    char text[600];
    int status;

    jobq_ctx_progress(ctx, "", 0); /* the service may have been busy the last time */
    if (outcome == JOBQ_DONE) {
        /* Stored before it is given away: a callback may be faster than our next line. */
        status = jobq_ctx_callback(ctx, &callback);
        if (status < 0) {
            text_of_error(status, text, sizeof(text));
            outcome = say_error(ctx, JOBQ_RETRY, "no callback token: %s", text);
        } else if (is_queue(station)) {
            outcome = put_order(ctx, station, payload, &callback);
        } else {
            outcome = post_order(ctx, station, payload, &callback);
        }
    }
    json_decref(payload);
    return outcome;
}

/* ---- the answer has come --------------------------------------------------------------------- */

static int take_data(struct jobq_ctx *ctx, const json_t *data)
{
    json_t *answer = json_object_get(data, "result"), *kept = NULL;
    struct jobq_callback fresh;
    int outcome = json_is_object(answer) ? say_answer(ctx, json_incref(answer), &kept)
                                         : say_error(ctx, JOBQ_RETRY, "the callback brought no result");

    if (outcome == JOBQ_DONE)
        return say_result(ctx, kept);
    /* A fresh token lets go of what this callback brought, so that the next attempt asks again. */
    if (outcome == JOBQ_RETRY)
        jobq_ctx_callback(ctx, &fresh);
    return outcome;
}

static int skipped(struct jobq_ctx *ctx, const struct station *station, const char *option)
{
    return say_result(ctx, json_pack("{s:s, s:s, s:s++}", "step", parts[station->part].name, "status",
                                     "skipped", "reason", "the worker was started without ", option, ""));
}

int handle_service(struct jobq_ctx *ctx, void *user)
{
    const struct station *station = user;
    json_t *data = json_of_bytes(jobq_ctx_job(ctx)->data);
    int outcome;

    if (data)
        outcome = take_data(ctx, data);
    else if (!station->work->services[station->part])
        outcome = skipped(ctx, station, "--services");
    else if (!station->work->secret && !is_queue(station))
        outcome = skipped(ctx, station, "--secret-file");
    else
        outcome = ask(ctx, station);
    json_decref(data);
    return outcome;
}
