/* SPDX-License-Identifier: MIT */
/* What people ask: start an analysis, look at its result. */
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "request.h"
#include "serve.h"
#include "text.h"

#define RETRY_AFTER_S 5
#define KEY_WINDOW_MS (INT64_C(24) * 3600 * 1000) /* a repeated request is recognised for so long */
#define UNKNOWN_TRIES 3

void reply_store_error(struct http_reply *reply, int status)
{
    char text[600];

    switch (status) {
    case JOBQ_LIMITED:
        http_error(reply, 429, "", "the quota is used up for now");
        break;
    case JOBQ_FULL:
        http_error(reply, 503, "", "there are as many submissions waiting as are taken");
        break;
    case JOBQ_FAILED:
    case JOBQ_UNKNOWN:
    case JOBQ_TIMEOUT:
    case JOBQ_UNREACHABLE:
    case JOBQ_NOMEM:
        http_error(reply, 503, "",
                   "the store cannot be used now; send the request again with the same jobId");
        break;
    default:
        text_of_error(status, text, sizeof(text));
        http_error(reply, 500, "", "%s", text);
        return;
    }
    reply->retry_after_s = RETRY_AFTER_S;
}

int authorize(const struct serve *serve, const struct http_request *request, enum role least,
              const char **tenant, struct http_reply *reply)
{
    const struct auth_entry *who;

    *tenant = "";
    if (!serve->auth)
        return 0;
    who = auth_ask(serve->auth, request, reply);
    if (!who)
        return -1;
    if (who->role < least) {
        http_error(reply, 403, "", "the token's role does not allow this");
        return -1;
    }
    *tenant = who->tenant;
    return 0;
}

/* ---- start ----------------------------------------------------------------------------------- */

/* After UNKNOWN the same id is put again: it takes effect once. */
static int put_probe(struct jobq *q, const struct request *request, const char *tenant,
                     struct jobq_enqueued *put)
{
    struct jobq_id id;
    struct jobq_spec spec = {
        .size = sizeof(spec),
        .queue = parts[PART_PROBE].queue,
        .group = *tenant ? tenant : NULL,
        .payload = {request->payload, strlen(request->payload)},
        .id = &id,
        .timeout_ms = parts[PART_PROBE].timeout_ms,
    };
    int status = jobq_id_new(&id);

    if (request->key) {
        spec.key = (struct jobq_bytes){request->key, strlen(request->key)};
        spec.key_scope = JOBQ_SCOPE_GROUP;
        spec.key_hold = JOBQ_HOLD_WINDOW;
        spec.key_window_ms = KEY_WINDOW_MS;
    }
    if (status == JOBQ_OK)
        status = JOBQ_UNKNOWN;
    for (int i = 0; i < UNKNOWN_TRIES && status == JOBQ_UNKNOWN; i++)
        status = jobq_enqueue(q, &spec, put);
    return status;
}

/* The one who waits for the probe, to tell the caller of the end. A repeated request puts it again under the
 * same id; when the submission is no longer kept there is nothing to tell. */
static int put_notify(struct jobq *q, const struct request *request, const char *tenant,
                      const struct jobq_id *submission)
{
    struct jobq_id id;
    const struct jobq_parent probe = {.id = *submission, .rule = JOBQ_PARENT_IGNORE};
    const struct jobq_spec spec = {
        .size = sizeof(spec),
        .queue = parts[PART_NOTIFY].queue,
        .group = *tenant ? tenant : NULL,
        .payload = {request->payload, strlen(request->payload)},
        .id = &id,
        .timeout_ms = parts[PART_NOTIFY].timeout_ms,
        .parents = &probe,
        .parent_count = 1,
    };
    int status = JOBQ_UNKNOWN;

    part_id(submission, PART_NOTIFY, &id);
    for (int i = 0; i < UNKNOWN_TRIES && status == JOBQ_UNKNOWN; i++)
        status = jobq_enqueue(q, &spec, NULL);
    return status == JOBQ_NO_PARENT ? JOBQ_OK : status;
}

static void reply_started(const struct jobq_enqueued *put, struct http_reply *reply)
{
    reply->status = 202;
    reply->body = json_pack("{s:o, s:s}", "jobId", json_of_id(&put->id), "status", "processing");
}

static void start(struct serve *serve, const struct request *request, const char *tenant,
                  struct http_reply *reply)
{
    struct jobq_enqueued put = {.size = sizeof(put)};
    int status = put_probe(handles_mine(serve->handles), request, tenant, &put);

    if (status == JOBQ_DUPLICATE && !put.same_payload) {
        http_error(reply, 422, "jobId", "this key was used for a request with another body");
        return;
    }
    if (status >= 0 && request->callback_url)
        status = put_notify(handles_mine(serve->handles), request, tenant, &put.id);
    if (status < 0)
        reply_store_error(reply, status);
    else
        reply_started(&put, reply);
}

void route_start(void *user, const struct http_request *http, struct http_reply *reply)
{
    struct serve *serve = user;
    struct request request;
    const char *tenant, *problem;

    if (authorize(serve, http, ROLE_OPERATOR, &tenant, reply) != 0)
        return;
    if (request_read(&request, &serve->folder, http->body, http->body_size,
                     http_header(http, "Idempotency-Key")) != 0) {
        http_error(reply, (unsigned)request.status, request.field, "%s", request.problem);
        if (request.status == 503)
            reply->retry_after_s = RETRY_AFTER_S;
    } else if (request.callback_url &&
               (problem = target_problem(&serve->target, request.callback_url)) != NULL) {
        http_error(reply, 422, "callbackUrl", "%s", problem);
    } else {
        start(serve, &request, tenant, reply);
    }
    request_free(&request);
}
