/* SPDX-License-Identifier: MIT */
/* What people ask: start an analysis, look at its result. */
#include <stdlib.h>
#include <string.h>

#include "gather.h"
#include "log.h"
#include "parts.h"
#include "request.h"
#include "serve.h"
#include "text.h"

#define RETRY_AFTER_S 5

void reply_store_problem(struct http_reply *reply, int status, const char *field, const char *text)
{
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
    case JOBQ_INVALID:
        http_error(reply, 400, field, "%s", text);
        return;
    default:
        http_error(reply, 500, "", "%s", text);
        return;
    }
    reply->retry_after_s = RETRY_AFTER_S;
}

void reply_store_error(struct http_reply *reply, int status)
{
    char text[600];

    text_of_error(status, text, sizeof(text));
    reply_store_problem(reply, status, jobq_last_error()->field, text);
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

struct started {
    struct serve *serve;
    struct gathered *gathered;
    int64_t begun_us, read_us;
};

static void forget_started(void *what)
{
    struct started *started = what;

    gather_leave(started->serve->gather, started->gathered);
    free(started);
}

static struct started *begin_started(struct serve *serve, struct request *request, const char *tenant,
                                     const void *from, int64_t begun_us)
{
    struct started *started = malloc(sizeof(*started));

    if (!started)
        return NULL;
    *started = (struct started){.serve = serve, .begun_us = begun_us, .read_us = log_now_us()};
    started->gathered = gather_put(serve->gather, request, tenant, from);
    if (started->gathered)
        return started;
    free(started);
    return NULL;
}

static void reply_started(const struct jobq_enqueued *put, struct http_reply *reply)
{
    reply->status = 202;
    reply->body = json_pack("{s:o, s:s}", "jobId", json_of_id(&put->id), "status", "processing");
}

/* When it is in the store, or was refused by it; until then the answer is put off. */
static void answer_started(const struct started *started, int last, struct http_reply *reply)
{
    const struct gathered *one = started->gathered;

    if (!gather_is_done(started->serve->gather, started->gathered, last)) {
        reply->put_off = HTTP_WAIT_SHORT;
        return;
    }
    if (one->status == JOBQ_DUPLICATE && !one->put.same_payload)
        http_error(reply, 422, "jobId", "this key was used for a request with another body");
    else if (one->status < 0)
        reply_store_problem(reply, one->status, one->field, one->problem);
    else
        reply_started(&one->put, reply);
    if (started->serve->log)
        log_start(reply->status, one->status >= 0 ? &one->put.id : NULL, started->read_us - started->begun_us,
                  log_now_us() - started->read_us, one->together);
}

/* Returns 0 with the request, or -1 with the reply filled. */
static int read_start(const struct serve *serve, const struct http_request *http, struct request *request,
                      struct http_reply *reply)
{
    const char *problem = NULL;

    if (request_read(request, &serve->folder, http->body, http->body_size,
                     http_header(http, "Idempotency-Key")) != 0) {
        http_error(reply, (unsigned)request->status, request->field, "%s", request->problem);
        if (request->status == 503)
            reply->retry_after_s = RETRY_AFTER_S;
        return -1;
    }
    if (request->url && !serve->allow_fetch)
        problem = "nothing is fetched from elsewhere: the server was started without --allow-fetch";
    else if (request->url)
        problem = target_problem(&serve->fetch, request->url);
    if (problem) {
        http_error(reply, 422, "videoUrl", "%s", problem);
        return -1;
    }
    if (request->callback_url)
        problem = target_problem(&serve->target, request->callback_url);
    if (problem)
        http_error(reply, 422, "callbackUrl", "%s", problem);
    return problem ? -1 : 0;
}

void route_start(void *user, const struct http_request *http, struct http_reply *reply)
{
    struct serve *serve = user;
    struct request request = {.status = 0};
    struct started *started = http->kept->what;
    int64_t begun_us = log_now_us();
    const char *tenant;

    if (!started) {
        if (authorize(serve, http, ROLE_OPERATOR, &tenant, reply) != 0)
            return;
        if (read_start(serve, http, &request, reply) == 0) {
            started = begin_started(serve, &request, tenant, http->connection, begun_us);
            if (!started)
                reply_store_problem(reply, JOBQ_NOMEM, "", "");
        }
        request_free(&request);
        if (!started)
            return;
        *http->kept = (struct http_kept){started, forget_started};
    }
    answer_started(started, http->last, reply);
}
