/* SPDX-License-Identifier: MIT */
/* Webhooks and notifications: a signed request to a tenant, and a line of the delivery log for each attempt.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "office.h"
#include "text.h"
#include "web.h"
#include "webhook.h"

struct hook {
    struct jobq_ctx *ctx;
    struct office *office;
    const char *id, *url, *event;
    struct webhook_key key;
    int active;
    char *body;
    struct web_answer answer;
};

/* ---- whose it is --------------------------------------------------------------------------------------- */

static int take_secret(void *user, int columns, const char *const *names, const char *const *values)
{
    struct hook *hook = user;
    size_t size = values[0] ? strlen(values[0]) : 0;

    (void)columns, (void)names;
    if (size > 0 && size <= sizeof(hook->key.bytes)) {
        memcpy(hook->key.bytes, values[0], size);
        hook->key.size = size;
    }
    hook->active = values[1] && strcmp(values[1], "1") == 0;
    return 1;
}

/* The secret is read when it is used: it is not in the queue, and a new one holds from now on. */
static long find_secret(struct hook *hook, struct desk *desk)
{
    const char *const values[] = {hook->id, jobq_ctx_job(hook->ctx)->group};

    return db_each(desk->db, "SELECT secret, active FROM webhooks WHERE id = $1 AND tenant_id = $2", 2,
                   values, take_secret, hook);
}

/* ---- the request --------------------------------------------------------------------------------------- */

static struct curl_slist *add(struct curl_slist *list, const char *name, const char *value)
{
    char line[400];

    snprintf(line, sizeof(line), "%s: %s", name, value);
    return curl_slist_append(list, line);
}

static struct curl_slist *headers_of(const struct hook *hook)
{
    char signature[WEBHOOK_PLAIN_BYTES], attempt[16], id[33];
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");

    if (webhook_sign_plain(&hook->key, hook->body, strlen(hook->body), signature) != 0) {
        curl_slist_free_all(list);
        return NULL;
    }
    jobq_id_format(&jobq_ctx_job(hook->ctx)->id, id);
    snprintf(attempt, sizeof(attempt), "%d", (int)jobq_ctx_job(hook->ctx)->attempt);
    list = add(list, "X-Webhook-Signature", signature);
    list = add(list, "X-Event-Type", hook->event);
    list = add(list, "X-Attempt", attempt);
    list = add(list, "X-Webhook-Delivery", id); /* the same each time: a receiver knows a repetition by it */
    return curl_slist_append(list, "Expect:");
}

static void post(struct hook *hook)
{
    struct web_request request = {.url = hook->url,
                                  .body = hook->body,
                                  .headers = headers_of(hook),
                                  .limit_ms = hook->office->http_ms,
                                  .policy = &hook->office->policy,
                                  .answer_most = 1024};
    const char *problem = target_problem(&hook->office->policy, hook->url);

    hook->answer = (struct web_answer){.closed = problem != NULL};
    snprintf(hook->answer.why, sizeof(hook->answer.why), "%s", problem ? problem : "out of memory");
    if (!problem && request.headers)
        web_post(hook->ctx, &request, &hook->answer);
    if (hook->answer.closed && !problem)
        snprintf(hook->answer.why, sizeof(hook->answer.why), "webhooks do not go to this address");
    if (hook->answer.status)
        snprintf(hook->answer.why, sizeof(hook->answer.why), "HTTP %ld", hook->answer.status);
    curl_slist_free_all(request.headers);
    free(hook->answer.body);
}

static int is_taken(const struct hook *hook)
{
    return hook->answer.status >= 200 && hook->answer.status < 300;
}

/* ---- the log ------------------------------------------------------------------------------------------- */

static int log_delivery(const struct hook *hook, struct desk *desk)
{
    const struct jobq_job *job = jobq_ctx_job(hook->ctx);
    char id[33], attempt[16], status[16], took[32], at[32];
    const char *const values[] = {id,
                                  hook->id,
                                  job->group,
                                  attempt,
                                  is_taken(hook) ? "success" : "failed",
                                  hook->answer.status ? status : NULL,
                                  took,
                                  is_taken(hook) ? NULL : hook->answer.why,
                                  at};

    jobq_id_format(&job->id, id);
    snprintf(attempt, sizeof(attempt), "%d", (int)job->attempt);
    snprintf(status, sizeof(status), "%ld", hook->answer.status);
    snprintf(took, sizeof(took), "%" PRId64, hook->answer.took_ms);
    snprintf(at, sizeof(at), "%" PRId64, work_now_ms());
    return db_run(
        desk->db,
        "INSERT INTO webhook_deliveries (job_id, webhook_id, tenant_id, attempt, status, http_status,"
        " response_ms, error, at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        9, values);
}

/* ---- all of it ----------------------------------------------------------------------------------------- */

static int outcome_of(const struct hook *hook)
{
    const struct web_answer *answer = &hook->answer;

    if (is_taken(hook))
        return work_done(hook->ctx,
                         json_pack("{s:b, s:I, s:I}", "success", 1, "status", (json_int_t)answer->status,
                                   "response_ms", (json_int_t)answer->took_ms));
    if (answer->closed || answer->status == 410)
        return work_fail(hook->ctx, JOBQ_GIVE_UP, "%s", answer->why);
    if (answer->retry_after_ms)
        jobq_ctx_delay(hook->ctx, answer->retry_after_ms);
    const struct jobq_job *job = jobq_ctx_job(hook->ctx);
    if (job->failures + 1 >= job->max_attempts)
        return work_fail(hook->ctx, JOBQ_RETRY, "Webhook failed after %d attempts: %s",
                         (int)job->max_attempts, answer->why);
    return work_fail(hook->ctx, JOBQ_RETRY, "%s", answer->why);
}

static int deliver(struct hook *hook, struct desk *desk)
{
    long found = find_secret(hook, desk);

    if (found < 0)
        return work_fail(hook->ctx, JOBQ_RETRY, "webhooks: %s", db_error(desk->db));
    if (found == 0 || hook->key.size == 0)
        return work_fail(hook->ctx, JOBQ_GIVE_UP, "the tenant has no webhook '%.100s' with a secret",
                         hook->id);
    if (!hook->active)
        return work_done(hook->ctx, json_pack("{s:b, s:s}", "skipped", 1, "reason", "not_active"));
    post(hook);
    if (log_delivery(hook, desk) < 0 && !is_taken(hook))
        return work_fail(hook->ctx, JOBQ_RETRY, "%s; and webhook_deliveries: %s", hook->answer.why,
                         db_error(desk->db));
    return outcome_of(hook);
}

int hook_handle(struct jobq_ctx *ctx, void *user)
{
    struct hook hook = {.ctx = ctx, .office = user};
    json_t *data = work_data(ctx);
    struct desk desk;
    char why[300];
    int outcome;

    if (!data)
        return JOBQ_GIVE_UP;
    hook.id = text_member(data, "webhook_id", "");
    hook.url = text_member(data, "webhook_url", "");
    hook.event = text_member(data, "event", "");
    hook.body = text_of_json(json_object_get(data, "payload"));
    if (!hook.body)
        outcome = work_fail(ctx, JOBQ_GIVE_UP, "payload: is no JSON object or array");
    else if (desk_take(&hook.office->desks, &desk, why) != 0)
        outcome = work_fail(ctx, JOBQ_RETRY, "%s", why);
    else {
        outcome = deliver(&hook, &desk);
        desk_give_back(&hook.office->desks, &desk, outcome == JOBQ_RETRY);
    }
    free(hook.body);
    json_decref(data);
    return outcome;
}
