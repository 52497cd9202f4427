/* SPDX-License-Identifier: MIT */
/* GET /analysis/result/:jobId: at once, or when there is something new. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "result.h"
#include "serve.h"
#include "text.h"

#define WAIT_MOST_S   60
#define LOOK_AGAIN_MS 3000  /* without a sign of a change, when a store keeps no events */
#define LOOK_LATE_MS  20000 /* when it does */
#define TAG_BYTES     16
#define TAG_ROOM      (2 * TAG_BYTES + 3)

/* ---- what is asked for ----------------------------------------------------------------------- */

struct asked {
    struct jobq_id id;
    int64_t wait_ms;
    const char *known; /* If-None-Match, or NULL */
    enum pulse_of of;  /* what would be news */
    uint64_t seen;     /* and how much of it there was before the store was asked */
};

static int read_wait(const struct http_request *http, int64_t *out, struct http_reply *reply)
{
    char text[16] = "";
    char *end = text;
    long seconds;

    *out = 0;
    if (!http_query(http, "wait", text, sizeof(text)))
        return 0;
    seconds = strtol(text, &end, 10);
    if (end == text || *end || seconds < 0 || strspn(text, "0123456789") != strlen(text)) {
        http_error(reply, 400, "wait", "it must be a whole number of seconds");
        return -1;
    }
    *out = 1000 * (int64_t)(seconds < WAIT_MOST_S ? seconds : WAIT_MOST_S);
    return 0;
}

/* ---- the tag --------------------------------------------------------------------------------- */

static void write_tag(const char *text, char out[TAG_ROOM])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char *to = out;

    *to = '\0';
    if (!text || !EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL))
        return;
    *to++ = '"';
    for (size_t i = 0; i < TAG_BYTES; i++)
        to += snprintf(to, 3, "%02x", digest[i]);
    memcpy(to, "\"", 2);
}

/* One of a list, weak or not, or "*". */
static int is_known(const char *known, const char *tag)
{
    const char *at = known && *tag ? strstr(known, tag) : NULL;

    return at != NULL || (known && strcmp(known, "*") == 0);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static int is_over(const json_t *body)
{
    return strcmp(text_member(body, "status", "processing"), "processing") != 0;
}

/* Is it worth waiting for another answer than this? With a tag: for any other one; without: for the end. */
static int is_worth_waiting(const struct asked *asked, const json_t *body, const char *tag)
{
    return asked->known ? is_known(asked->known, tag) : !is_over(body);
}

static void send_text(struct http_reply *reply, char *text, const char *tag, const char *known)
{
    http_set_header(reply, "ETag", "%s", tag);
    if (is_known(known, tag)) {
        free(text);
        reply->status = 304;
    } else if (text) {
        reply->status = 200;
        reply->type = "application/json";
        reply->text = text;
        reply->size = strlen(text);
    } else {
        http_error(reply, 503, "", "out of memory");
    }
}

/* Who waits for the end alone is told from the two rows that can be it, once for all who wait. */
static int goes_on(const struct serve *serve, const struct asked *asked, const char *tenant)
{
    int over = 1;

    if (asked->known)
        return 0;
    if (pulse_is_known_to_go_on(serve->pulse, &asked->id, tenant, asked->seen))
        return 1;
    if (result_may_be_over(handles_mine(serve->handles), &asked->id, tenant, &over) != JOBQ_OK || over)
        return 0;
    pulse_goes_on(serve->pulse, &asked->id, tenant, asked->seen);
    return 1;
}

static void put_off(const struct serve *serve, const struct http_request *http, const struct asked *asked,
                    struct http_reply *reply)
{
    int64_t left_ms = asked->wait_ms - http->waited_ms;
    int64_t again_ms =
        (int64_t)http->note[1] + (pulse_sees(serve->pulse) ? LOOK_LATE_MS : LOOK_AGAIN_MS) - http->waited_ms;

    reply->put_off = HTTP_WAIT_TOPIC;
    reply->topic = pulse_topic(serve->pulse, &asked->id, asked->of, asked->seen,
                               left_ms < again_ms ? left_ms : again_ms);
}

/* `may_wait`: there is time left. */
static void look(const struct serve *serve, const struct http_request *http, const struct asked *asked,
                 const char *tenant, int may_wait, struct http_reply *reply)
{
    json_t *body = NULL;
    char tag[TAG_ROOM];
    char *text;
    int status;

    if (may_wait && goes_on(serve, asked, tenant)) {
        put_off(serve, http, asked, reply);
        return;
    }
    status = result_of(handles_mine(serve->handles), serve->live, &asked->id, tenant, &body);
    if (status == JOBQ_NOT_FOUND) {
        http_error(reply, 404, "jobId", "there is no such submission, or it is no longer kept");
        return;
    }
    if (status < 0) {
        reply_store_error(reply, status);
        return;
    }
    text = text_of_json(body);
    write_tag(text, tag);
    if (may_wait && is_worth_waiting(asked, body, tag)) {
        put_off(serve, http, asked, reply);
        free(text);
    } else {
        send_text(reply, text, tag, asked->known);
    }
    json_decref(body);
}

/* Asked again because of somebody else's change? `note`: the changes that were counted when it was looked at,
 * plus 1, and when that was. */
static int is_old_news(const struct serve *serve, const struct http_request *http, uint64_t seen)
{
    int64_t again_ms = pulse_sees(serve->pulse) ? LOOK_LATE_MS : LOOK_AGAIN_MS;

    return http->note[0] == seen + 1 && http->waited_ms < (int64_t)http->note[1] + again_ms;
}

void route_result(void *user, const struct http_request *http, struct http_reply *reply)
{
    const struct serve *serve = user;
    struct asked asked = {.known = http_header(http, "If-None-Match")};
    const char *tenant;
    int may_wait;

    if (authorize(serve, http, ROLE_VIEWER, &tenant, reply) != 0 ||
        read_wait(http, &asked.wait_ms, reply) != 0)
        return;
    if (jobq_id_parse(http->rest, &asked.id) != JOBQ_OK) {
        http_error(reply, 404, "jobId", "there is no such submission, or it is no longer kept");
        return;
    }
    may_wait = http->waited_ms < asked.wait_ms && !http->last;
    if (may_wait)
        pulse_want(serve->pulse, &asked.id, asked.wait_ms - http->waited_ms);
    asked.of = asked.known ? PULSE_CHANGES : PULSE_ENDS;
    asked.seen = pulse_count(serve->pulse, &asked.id, asked.of);
    if (may_wait && is_old_news(serve, http, asked.seen)) {
        put_off(serve, http, &asked, reply);
        return;
    }
    http->note[0] = asked.seen + 1;
    http->note[1] = (uint64_t)http->waited_ms;
    look(serve, http, &asked, tenant, may_wait, reply);
}
