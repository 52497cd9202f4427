/* SPDX-License-Identifier: MIT */
#include "web.h"

#include <stdlib.h>
#include <string.h>

#include "doorman.h"
#include "office.h"

#define CONNECT_LIMIT_MS 10000L

/* ---- any request --------------------------------------------------------------------------------------- */

static int watch_job(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct web_watch *watch = user;
    uint32_t over = JOBQ_CTX_CANCEL | JOBQ_CTX_LOST | JOBQ_CTX_TIMEOUT;

    (void)a, (void)b, (void)c, (void)d;
    return (jobq_ctx_flags(watch->ctx) & (over | (watch->stop_ends ? JOBQ_CTX_STOPPING : 0u))) != 0;
}

void web_set_up(CURL *curl, struct web_watch *watch, int64_t limit_ms, char why[CURL_ERROR_SIZE])
{
    why[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_LIMIT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)limit_ms);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch_job);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, watch);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
}

/* ---- HTTP ---------------------------------------------------------------------------------------------- */

struct receiver {
    struct web_answer *answer;
    size_t most;
};

static size_t take(char *data, size_t one, size_t count, void *user)
{
    struct receiver *r = user;
    size_t bytes = one * count, room = r->most - r->answer->size;
    size_t kept = bytes < room ? bytes : room;
    char *body = realloc(r->answer->body, r->answer->size + kept + 1);

    if (!body)
        return 0;
    memcpy(body + r->answer->size, data, kept);
    r->answer->body = body;
    r->answer->size += kept;
    body[r->answer->size] = '\0';
    return bytes;
}

static void set_request(CURL *curl, const struct web_request *request, struct receiver *receiver,
                        struct doorman *doorman)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, request->headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(request->body));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, receiver);
    doorman_set(curl, doorman);
}

static void read_answer(CURL *curl, CURLcode code, struct web_answer *out)
{
    curl_off_t wait = 0, took = 0;

    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &took);
    out->took_ms = took / 1000;
    if (code == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
        if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0 && wait < 86400)
            out->retry_after_ms = wait * 1000;
    } else if (!out->why[0])
        strncpy(out->why, curl_easy_strerror(code), sizeof(out->why) - 1);
}

void web_post(struct jobq_ctx *ctx, const struct web_request *request, struct web_answer *out)
{
    struct receiver receiver = {out, request->answer_most};
    struct doorman doorman = {request->policy, 0};
    struct web_watch watch = {ctx, request->stop_ends};
    CURL *curl = curl_easy_init();

    *out = (struct web_answer){.why = "out of memory"};
    if (!curl)
        return;
    web_set_up(curl, &watch, request->limit_ms, out->why);
    set_request(curl, request, &receiver, &doorman);
    read_answer(curl, curl_easy_perform(curl), out);
    out->closed = out->status == 0 && doorman.closed;
    curl_easy_cleanup(curl);
}
