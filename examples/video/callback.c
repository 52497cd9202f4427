/* SPDX-License-Identifier: MIT */
/* What services ask: here is the result of the step I was given, or how far I am with it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parts.h"
#include "serve.h"
#include "text.h"

#define PATH_END "-analysis"

static int verify(const struct serve *serve, const struct http_request *http, struct http_reply *reply)
{
    const struct webhook_headers headers = {
        .id = http_header(http, "webhook-id"),
        .timestamp = http_header(http, "webhook-timestamp"),
        .signature = http_header(http, "webhook-signature"),
    };
    enum webhook_verdict verdict;

    if (!serve->secret) {
        http_error(reply, 403, "", "callbacks are closed: the server was started without --secret-file");
        return -1;
    }
    verdict = webhook_verify(serve->secret->keys, serve->secret->count, &headers, http->body, http->body_size,
                             (int64_t)time(NULL), WEBHOOK_TOLERANCE_S);
    if (verdict == WEBHOOK_OK)
        return 0;
    http_error(reply, 401, "", "%s", webhook_verdict_text(verdict));
    return -1;
}

/* "face-analysis" -> PART_FACE; -1 for what no callback can be for. */
static int part_of_path(const char *rest)
{
    size_t size = strlen(rest), end = strlen(PATH_END);
    char name[PART_NAME_BYTES];
    int part;

    if (size <= end || size - end >= sizeof(name) || strcmp(rest + size - end, PATH_END) != 0)
        return -1;
    memcpy(name, rest, size - end);
    name[size - end] = '\0';
    part = part_by_name(name);
    return part >= PART_FIRST_STEP ? part : -1;
}

/* `what`: why nothing came of it; NULL: it had its effect. */
static void reply_ok(struct http_reply *reply, const char *what)
{
    reply->status = 200;
    reply->body = json_pack("{s:b}", "ok", 1);
    if (what)
        json_object_set_new(reply->body, "effect", json_string(what));
}

/* Whose callback is it? Returns 0 when the job is one of this step's. */
static int find_job(const struct serve *serve, const struct jobq_callback *callback, int part, int *parked,
                    struct jobq_id *id, struct http_reply *reply)
{
    struct jobq_jobs *found = NULL;
    int status;

    memcpy(id->bytes, callback->bytes, sizeof(id->bytes));
    status = jobq_get(handles_mine(serve->handles), id, &found);
    if (status == JOBQ_OK && strcmp(found->jobs[0].queue, parts[part].queue) != 0)
        status = JOBQ_NOT_FOUND;
    if (status == JOBQ_OK)
        *parked = found->jobs[0].state == JOBQ_BLOCKED || found->jobs[0].state == JOBQ_RUNNING;
    jobq_jobs_free(found);
    if (status == JOBQ_NOT_FOUND)
        http_error(reply, 404, "callback", "there is no such job in this step");
    else if (status < 0)
        reply_store_error(reply, status);
    return status == JOBQ_OK ? 0 : -1;
}

static void keep_progress(const struct serve *serve, const struct jobq_id *id, const json_t *progress)
{
    double done = json_number_value(json_object_get(progress, "done"));
    double total = json_number_value(json_object_get(progress, "total"));

    if (!isfinite(done) || !isfinite(total) || done < 0 || total < 0)
        return;
    live_keep(serve->live, id, done, total, text_member(progress, "unit", ""));
    pulse_touch(serve->pulse, id);
}

static void resume(const struct serve *serve, const struct jobq_callback *callback,
                   const struct http_request *http, struct http_reply *reply)
{
    int status = jobq_unpark(handles_mine(serve->handles), callback, http->body, http->body_size);

    if (status == JOBQ_UNKNOWN)
        status = jobq_unpark(handles_mine(serve->handles), callback, http->body, http->body_size);
    if (status == JOBQ_OK)
        reply_ok(reply, NULL);
    else if (status == JOBQ_ALREADY)
        reply_ok(reply, "none: this callback came before");
    else if (status == JOBQ_STALE || status == JOBQ_STATE)
        reply_ok(reply, "none: the job does not wait for this callback");
    else if (status == JOBQ_NOT_FOUND)
        http_error(reply, 404, "callback", "there is no such job in this step");
    else
        reply_store_error(reply, status);
}

static void take(const struct serve *serve, const struct http_request *http, int part, const json_t *body,
                 struct http_reply *reply)
{
    const json_t *progress = json_object_get(body, "progress");
    struct jobq_callback callback;
    struct jobq_id id;
    int parked = 0;

    if (jobq_callback_parse(text_member(body, "callback", ""), &callback) != JOBQ_OK)
        http_error(reply, 400, "callback", "it must be the 64 hexadecimal digits that came with the order");
    else if (!json_is_object(progress) && !json_is_object(json_object_get(body, "result")))
        http_error(reply, 400, "result", "it must be an object");
    else if (find_job(serve, &callback, part, &parked, &id, reply) != 0)
        return;
    else if (json_is_object(json_object_get(body, "result")))
        resume(serve, &callback, http, reply);
    else {
        if (parked)
            keep_progress(serve, &id, progress);
        reply_ok(reply, parked ? NULL : "none: the job does not wait for this callback");
    }
}

void route_callback(void *user, const struct http_request *http, struct http_reply *reply)
{
    const struct serve *serve = user;
    int part = part_of_path(http->rest);
    json_t *body;

    if (part < 0) {
        http_error(reply, 404, "", "there is nothing at this path");
        return;
    }
    if (verify(serve, http, reply) != 0)
        return;
    body = json_of_bytes((struct jobq_bytes){http->body, http->body_size});
    if (body)
        take(serve, http, part, body, reply);
    else
        http_error(reply, 400, "", "the body must be a JSON object");
    json_decref(body);
}
