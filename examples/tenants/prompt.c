/* SPDX-License-Identifier: MIT */
/* A prompt to a model behind any URL that speaks as OpenAI's does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "office.h"
#include "text.h"
#include "web.h"

#define ANSWER_MOST ((size_t)4 << 20)

static char *body_of(const json_t *data)
{
    json_t *body =
        json_pack("{s:O, s:[{s:s, s:O}], s:O, s:O}", "model", json_object_get(data, "model"), "messages",
                  "role", "user", "content", json_object_get(data, "prompt"), "max_tokens",
                  json_object_get(data, "max_tokens"), "temperature", json_object_get(data, "temperature"));
    char *text;

    if (body && json_object_get(data, "user_id"))
        json_object_set(body, "user", json_object_get(data, "user_id"));
    text = text_of_json(body);
    json_decref(body);
    return text;
}

static struct curl_slist *headers_of(const struct office *office)
{
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    char line[600];

    if (!office->ai_key)
        return list;
    snprintf(line, sizeof(line), "Authorization: Bearer %s", office->ai_key);
    return curl_slist_append(list, line);
}

static int keep_answer(struct jobq_ctx *ctx, const struct web_answer *answer)
{
    json_t *told = answer->body ? json_loadb(answer->body, answer->size, 0, NULL) : NULL;
    json_t *choice = json_array_get(json_object_get(told, "choices"), 0);
    json_t *text = json_object_get(json_object_get(choice, "message"), "content");
    int outcome;

    if (json_is_string(text))
        outcome = work_done(ctx, json_pack("{s:O, s:O*, s:O*}", "text", text, "model",
                                           json_object_get(told, "model"), "usage",
                                           json_object_get(told, "usage")));
    else
        outcome = work_fail(ctx, JOBQ_RETRY, "the answer has no choices[0].message.content");
    json_decref(told);
    return outcome;
}

static int outcome_of(struct jobq_ctx *ctx, const struct web_answer *answer)
{
    if (answer->status == 200)
        return keep_answer(ctx, answer);
    if (answer->status == 0)
        return jobq_ctx_flags(ctx) & JOBQ_CTX_STOPPING ? JOBQ_RELEASE
                                                       : work_fail(ctx, JOBQ_RETRY, "%s", answer->why);
    if (answer->retry_after_ms)
        jobq_ctx_delay(ctx, answer->retry_after_ms);
    int later =
        answer->status == 408 || answer->status == 409 || answer->status == 429 || answer->status >= 500;
    return work_fail(ctx, later ? JOBQ_RETRY : JOBQ_GIVE_UP, "HTTP %ld: %.800s", answer->status,
                     answer->body ? answer->body : "");
}

static int ask(struct jobq_ctx *ctx, const struct office *office, const char *body)
{
    const struct jobq_job *job = jobq_ctx_job(ctx);
    struct web_answer answer;
    char url[1024];
    struct web_request request = {.url = url,
                                  .body = body,
                                  .headers = headers_of(office),
                                  .limit_ms = job->timeout_ms > 0 ? job->timeout_ms : 600000,
                                  .answer_most = ANSWER_MOST,
                                  .stop_ends = 1};
    int outcome;

    snprintf(url, sizeof(url), "%s/chat/completions", office->ai_url);
    web_post(ctx, &request, &answer);
    outcome = outcome_of(ctx, &answer);
    free(answer.body);
    curl_slist_free_all(request.headers);
    return outcome;
}

int prompt_handle(struct jobq_ctx *ctx, void *user)
{
    struct office *office = user;
    json_t *data = work_data(ctx);
    char *body = data ? body_of(data) : NULL;
    int outcome = JOBQ_GIVE_UP;

    if (data && !office->ai_url)
        outcome = work_fail(ctx, JOBQ_RETRY, "there is no model: --ai-url");
    else if (data && !body)
        outcome = work_fail(ctx, JOBQ_GIVE_UP, "prompt, model, max_tokens and temperature are needed");
    else if (data)
        outcome = ask(ctx, office, body);
    free(body);
    json_decref(data);
    return outcome;
}
