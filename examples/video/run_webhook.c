/* SPDX-License-Identifier: MIT */
/*
 * Telling the caller. Two jobs: "notify" waits for the probe and puts "webhook", which waits for the report;
 * so both a report and an end before it are told. A message has one id, whatever is needed to deliver it. The
 * payload names the secret; the secret is read from its file for each attempt, and while it is being changed
 * the file holds both keys, and both sign.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "post.h"
#include "result.h"
#include "text.h"
#include "work.h"

#define LOOK_AGAIN_MS    5000
#define RETRY_AFTER_MOST 3600
#define HEADER_BYTES     640
#define HEADERS          7

/* ---- notify ---------------------------------------------------------------------------------- */

static int state_of(const struct work *work, const struct jobq_id *id, int *state, int64_t *finished_ms)
{
    struct jobq_jobs *found = NULL;
    int status = jobq_get(work->q, id, &found);

    if (status == JOBQ_OK) {
        *state = found->jobs[0].state;
        *finished_ms = found->jobs[0].finished_at_ms;
    }
    jobq_jobs_free(found);
    return status;
}

static int is_over(int state)
{
    return state == JOBQ_COMPLETED || state == JOBQ_DEAD || state == JOBQ_CANCELLED;
}

static int come_back(struct jobq_ctx *ctx)
{
    jobq_ctx_delay(ctx, LOOK_AGAIN_MS);
    return JOBQ_SNOOZE;
}

static int put_webhook(struct jobq_ctx *ctx, const struct work *work, const struct jobq_parent *report,
                       size_t reports)
{
    const struct jobq_job *job = jobq_ctx_job(ctx);
    const struct jobq_backoff backoff = {
        .size = sizeof(backoff), .base_ms = work->webhook_backoff_ms, .jitter_percent = 10};
    struct jobq_id id;
    const struct jobq_spec spec = {
        .size = sizeof(spec),
        .queue = parts[PART_WEBHOOK].queue,
        .group = job->group[0] ? job->group : NULL,
        .payload = job->payload,
        .id = &id,
        .timeout_ms = parts[PART_WEBHOOK].timeout_ms,
        .max_attempts = work->webhook_attempts,
        .backoff = &backoff,
        .parents = reports ? report : NULL,
        .parent_count = reports,
    };
    int status;

    part_id(&report->id, PART_WEBHOOK, &id);
    status = jobq_ctx_then(ctx, &spec, NULL);
    return status == JOBQ_OK
               ? JOBQ_DONE
               : say_error(ctx, JOBQ_RETRY, "the message could not be put: %s", jobq_strerror(status));
}

/* A probe that was done again after it had ended is waited for again. */
int handle_notify(struct jobq_ctx *ctx, void *user)
{
    const struct station *station = user;
    struct jobq_id submission;
    struct jobq_parent report = {.rule = JOBQ_PARENT_IGNORE};
    int state = JOBQ_COMPLETED, status;
    int64_t finished_ms;

    part_id(&jobq_ctx_job(ctx)->id, PART_PROBE, &submission);
    part_id(&submission, PART_REPORT, &report.id);
    status = state_of(station->work, &submission, &state, &finished_ms);
    if (status == JOBQ_OK && !is_over(state))
        return come_back(ctx);
    if (status == JOBQ_OK || status == JOBQ_NOT_FOUND)
        status = state_of(station->work, &report.id, &state, &finished_ms);
    if (status != JOBQ_OK && status != JOBQ_NOT_FOUND)
        return say_error(ctx, JOBQ_RETRY, "the submission cannot be read: %s", jobq_last_error()->text);
    return put_webhook(ctx, station->work, &report, status == JOBQ_OK);
}

/* ---- the message ----------------------------------------------------------------------------- */

static json_t *ended_at(const struct work *work, const struct jobq_id *submission)
{
    static const int ends[] = {PART_REPORT, PART_PROBE};
    int state = 0;
    int64_t at_ms = 0;

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]) && at_ms == 0; i++) {
        struct jobq_id id;
        part_id(submission, ends[i], &id);
        state_of(work, &id, &state, &at_ms);
    }
    return json_of_instant(at_ms);
}

/* JOBQ_DONE with the text and its type, or the outcome. */
static int make_message(struct jobq_ctx *ctx, const struct work *work, char **text, const char **type)
{
    const struct jobq_job *job = jobq_ctx_job(ctx);
    struct jobq_id submission;
    json_t *data = NULL, *message;
    int status;

    part_id(&job->id, PART_PROBE, &submission);
    status = result_of(work->q, NULL, &submission, job->group, &data);
    if (status == JOBQ_NOT_FOUND)
        return say_error(ctx, JOBQ_GIVE_UP, "the submission is no longer kept");
    if (status != JOBQ_OK)
        return say_error(ctx, JOBQ_RETRY, "the result cannot be read: %s", jobq_last_error()->text);
    *type =
        strcmp(text_member(data, "status", ""), "completed") == 0 ? "analysis.completed" : "analysis.failed";
    if (strcmp(text_member(data, "status", ""), "processing") == 0) {
        json_decref(data);
        return come_back(ctx);
    }
    json_object_del(data, "progress");
    json_object_del(data, "callback");
    message =
        json_pack("{s:s, s:o, s:o}", "type", *type, "timestamp", ended_at(work, &submission), "data", data);
    *text = text_of_json(message);
    json_decref(message);
    return *text ? JOBQ_DONE : say_error(ctx, JOBQ_RETRY, "out of memory for the message");
}

/* ---- its headers ----------------------------------------------------------------------------- */

static int is_file_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/') && strlen(name) < 256;
}

/* JOBQ_DONE, or the outcome: an operator can bring a file that is missing. */
static int read_keys(struct jobq_ctx *ctx, const struct work *work, const char *name, struct secret *out)
{
    const char *tenant = jobq_ctx_job(ctx)->group;
    char path[PATH_MAX];
    const char *problem;

    if (!work->webhook_secrets)
        return say_error(ctx, JOBQ_RETRY, "the worker was started without --webhook-secrets");
    if (!is_file_name(name) || (*tenant && !is_file_name(tenant)))
        return say_error(ctx, JOBQ_GIVE_UP, "the secret's or the tenant's name cannot be one of a file");
    if (snprintf(path, sizeof(path), "%s/%s%s%s", work->webhook_secrets, tenant, *tenant ? "/" : "", name) >=
        (int)sizeof(path))
        return say_error(ctx, JOBQ_GIVE_UP, "the secret's name is too long");
    problem = secret_read(out, path);
    return problem ? say_error(ctx, JOBQ_RETRY, "the secret %s%s%s cannot be used: %s", tenant,
                               *tenant ? "/" : "", name, problem)
                   : JOBQ_DONE;
}

/* One signature for each key. */
static int write_signatures(const struct secret *secret, const char *id, int64_t now_s, const char *body,
                            char out[HEADER_BYTES])
{
    char signature[WEBHOOK_SIGNATURE_BYTES];
    size_t used = (size_t)snprintf(out, HEADER_BYTES, "webhook-signature:");

    for (size_t i = 0; i < secret->count; i++) {
        if (webhook_sign(&secret->keys[i], id, now_s, body, strlen(body), signature) != 0)
            return -1;
        used += (size_t)snprintf(out + used, HEADER_BYTES - used, " %s", signature);
    }
    return 0;
}

static int write_headers(const struct jobq_job *job, const struct secret *secret, const char *type,
                         const char *body, char out[HEADERS][HEADER_BYTES])
{
    char id[40] = CALLBACK_ID_PREFIX, plain[WEBHOOK_PLAIN_BYTES];
    int64_t now_s = (int64_t)time(NULL);

    jobq_id_format(&job->id, id + strlen(CALLBACK_ID_PREFIX));
    if (write_signatures(secret, id, now_s, body, out[0]) != 0 ||
        webhook_sign_plain(&secret->keys[0], body, strlen(body), plain) != 0)
        return -1;
    snprintf(out[1], HEADER_BYTES, "webhook-id: %s", id);
    snprintf(out[2], HEADER_BYTES, "webhook-timestamp: %lld", (long long)now_s);
    snprintf(out[3], HEADER_BYTES, "X-Webhook-Signature: %s", plain);
    snprintf(out[4], HEADER_BYTES, "X-Event-Type: %s", type);
    snprintf(out[5], HEADER_BYTES, "X-Attempt: %d", job->failures + 1);
    snprintf(out[6], HEADER_BYTES, "User-Agent: jobq-video/%s", jobq_version());
    return 0;
}

/* ---- posting --------------------------------------------------------------------------------- */

/* Nothing of what the receiver says is kept but its status. */
static int judge(struct jobq_ctx *ctx, const struct post_answer *answer)
{
    if (answer->status >= 200 && answer->status < 300)
        return say_result(ctx, json_pack("{s:i, s:i}", "status", (int)answer->status, "attempt",
                                         jobq_ctx_job(ctx)->failures + 1));
    if (answer->closed)
        return say_error(ctx, JOBQ_GIVE_UP,
                         "the address is not one of the public internet; --callback-allow opens others");
    if (answer->status == 0)
        return say_error(ctx, JOBQ_RETRY, "%s", answer->problem);
    if (answer->status == 410)
        return say_error(ctx, JOBQ_GIVE_UP, "the receiver does not want it any more (410)");
    if (answer->status >= 300 && answer->status < 400)
        return say_error(ctx, JOBQ_RETRY, "the receiver is elsewhere (%ld), and nothing is redirected",
                         answer->status);
    if ((answer->status == 429 || answer->status == 503) && answer->retry_after_s > 0)
        jobq_ctx_delay(ctx, 1000 * (answer->retry_after_s < RETRY_AFTER_MOST ? answer->retry_after_s
                                                                             : RETRY_AFTER_MOST));
    return say_error(ctx, JOBQ_RETRY, "the receiver answered %ld", answer->status);
}

static int send_message(struct jobq_ctx *ctx, const struct work *work, const char *url,
                        const struct secret *secret, const char *type, const char *body)
{
    char headers[HEADERS][HEADER_BYTES];
    const char *list[HEADERS + 1] = {NULL};
    const struct post post = {.url = url,
                              .body = body,
                              .headers = list,
                              .time_limit_ms = (long)work->webhook_time_ms,
                              .status_only = 1,
                              .policy = &work->target};
    struct post_answer answer;

    if (write_headers(jobq_ctx_job(ctx), secret, type, body, headers) != 0)
        return say_error(ctx, JOBQ_RETRY, "the message could not be signed");
    for (size_t i = 0; i < HEADERS; i++)
        list[i] = headers[i];
    post_run(&post, &answer);
    return judge(ctx, &answer);
}

static int deliver(struct jobq_ctx *ctx, const struct work *work, const json_t *payload)
{
    const char *url = text_member(payload, "callbackUrl", ""), *type = NULL;
    const char *problem = target_problem(&work->target, url);
    struct secret secret = {.count = 0};
    char *text = NULL;
    int outcome;

    if (problem)
        return say_error(ctx, JOBQ_GIVE_UP, "callbackUrl: %s", problem);
    outcome = make_message(ctx, work, &text, &type);
    if (outcome == JOBQ_DONE)
        outcome = read_keys(ctx, work, text_member(payload, "callbackSecret", "default"), &secret);
    if (outcome == JOBQ_DONE)
        outcome = send_message(ctx, work, url, &secret, type, text);
    explicit_bzero(&secret, sizeof(secret));
    free(text);
    return outcome;
}

int handle_webhook(struct jobq_ctx *ctx, void *user)
{
    const struct station *station = user;
    json_t *payload = json_of_bytes(jobq_ctx_job(ctx)->payload);
    int outcome = payload ? deliver(ctx, station->work, payload)
                          : say_error(ctx, JOBQ_GIVE_UP, "the payload is not one of a submission");

    json_decref(payload);
    return outcome;
}
