/* SPDX-License-Identifier: MIT */
#include "post.h"

#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doorman.h"
#include "text.h"

#define CONNECT_LIMIT_MS 3000L
#define TIME_LIMIT_MS    15000L
#define ANSWER_BYTES     65536

struct receiver {
    char *text;
    size_t size, room, most;
    int discard;
    CURL *curl;
    const struct post *post;
    struct post_answer *answer;
};

int post_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

/* "video/mp4; codecs=..." is video/mp4. */
static void read_type(CURL *curl, char out[128])
{
    char *type = NULL;

    if (curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type)
        snprintf(out, 128, "%.*s", (int)strcspn(type, "; \t"), type);
}

/* What else than the thing itself answers with is not wanted: it is discarded. */
static size_t hand_over(struct receiver *receiver, const char *bytes, size_t size)
{
    struct post_answer *answer = receiver->answer;

    if (answer->status == 0) {
        curl_easy_getinfo(receiver->curl, CURLINFO_RESPONSE_CODE, &answer->status);
        read_type(receiver->curl, answer->type);
    }
    receiver->size += size;
    if (answer->status != 200)
        return size;
    return receiver->post->take(receiver->post->user, answer, bytes, size) == 0 ? size : 0;
}

static size_t receive(char *bytes, size_t one, size_t count, void *user)
{
    struct receiver *receiver = user;
    size_t size = one * count;

    if (receiver->size + size > receiver->most) {
        receiver->answer->too_large = 1;
        return 0;
    }
    if (receiver->post->take)
        return hand_over(receiver, bytes, size);
    if (receiver->discard) {
        receiver->size += size;
        return size;
    }
    if (receiver->size + size > receiver->room) {
        size_t room = 2 * (receiver->size + size);
        char *more = realloc(receiver->text, room);
        if (!more)
            return 0;
        receiver->text = more;
        receiver->room = room;
    }
    memcpy(receiver->text + receiver->size, bytes, size);
    receiver->size += size;
    return size;
}

static struct curl_slist *headers_of(const struct post *post)
{
    struct curl_slist *list = post->body ? curl_slist_append(NULL, "Content-Type: application/json") : NULL;

    list = curl_slist_append(list, "Expect:");
    for (const char *const *header = post->headers; header && *header; header++)
        list = curl_slist_append(list, *header);
    return list;
}

static void only_http(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
}

static int ask_stop(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct post *post = user;

    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return post->stop(post->user);
}

static void set_up(CURL *curl, const struct post *post, struct receiver *receiver)
{
    only_http(curl);
    curl_easy_setopt(curl, CURLOPT_URL, post->url);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_LIMIT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, post->time_limit_ms > 0 ? post->time_limit_ms : TIME_LIMIT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, receiver);
    if (post->take)
        curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)receiver->most);
    if (post->stop) {
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, ask_stop);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)(uintptr_t)post);
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    }
    if (post->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(post->body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post->body);
    }
}

static void read_answer(CURL *curl, CURLcode code, const struct receiver *receiver,
                        struct post_answer *answer)
{
    curl_off_t wait = 0;

    if (code == CURLE_OK || (receiver->discard && code == CURLE_WRITE_ERROR)) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
        if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0 && wait < 86400)
            answer->retry_after_s = (long)wait;
        if (!receiver->discard && !receiver->post->take)
            answer->json = json_of_bytes((struct jobq_bytes){receiver->text, receiver->size});
    } else {
        answer->status = 0;
        answer->too_large |= code == CURLE_FILESIZE_EXCEEDED;
        snprintf(answer->problem, sizeof(answer->problem), "%s",
                 answer->too_large ? "the answer is too large" : curl_easy_strerror(code));
    }
}

void post_run(const struct post *post, struct post_answer *answer)
{
    struct receiver receiver = {.most = post->answer_max_bytes > 0 ? post->answer_max_bytes : ANSWER_BYTES,
                                .discard = post->status_only,
                                .post = post,
                                .answer = answer};
    struct doorman doorman = {.policy = post->policy};
    struct curl_slist *headers = headers_of(post);
    CURL *curl = curl_easy_init();

    *answer = (struct post_answer){.status = 0};
    receiver.curl = curl;
    if (curl) {
        set_up(curl, post, &receiver);
        doorman_set(curl, &doorman);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        read_answer(curl, curl_easy_perform(curl), &receiver, answer);
        answer->closed = answer->status == 0 && doorman.closed;
        curl_easy_cleanup(curl);
    } else {
        snprintf(answer->problem, sizeof(answer->problem), "out of memory");
    }
    curl_slist_free_all(headers);
    free(receiver.text);
}

const char *post_error(const struct post_answer *answer, char out[300])
{
    const char *said = text_member(answer->json, "error", NULL);
    const char *field = text_member(answer->json, "field", NULL);

    if (answer->status == 0)
        snprintf(out, 300, "%s", answer->problem);
    else if (said && field)
        snprintf(out, 300, "%s: %.240s (%ld)", field, said, answer->status);
    else if (said)
        snprintf(out, 300, "%.280s (%ld)", said, answer->status);
    else
        snprintf(out, 300, "status %ld", answer->status);
    return out;
}

char *post_url(const char *base, const char *path)
{
    size_t size = strlen(base);
    size_t room = size + strlen(path) + 1;
    char *url = malloc(room);

    while (size > 0 && base[size - 1] == '/')
        size--;
    if (url)
        snprintf(url, room, "%.*s%s", (int)size, base, path);
    return url;
}
