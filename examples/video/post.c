/* SPDX-License-Identifier: MIT */
#include "post.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "text.h"

#define CONNECT_LIMIT_MS 3000L
#define TIME_LIMIT_MS    15000L
#define ANSWER_BYTES     65536

struct receiver {
    char *text;
    size_t size, room, most;
    int discard;
};

int post_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

static size_t receive(char *bytes, size_t one, size_t count, void *user)
{
    struct receiver *receiver = user;
    size_t size = one * count;

    if (receiver->size + size > receiver->most)
        return 0;
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

/* Here the name has become the address that is connected to: there is no later moment at which it could be
 * another one. */
struct doorman {
    const struct target_policy *policy;
    int closed;
};

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct doorman *doorman = user;

    if (purpose != CURLSOCKTYPE_IPCXN || !target_may_connect(doorman->policy, &address->addr)) {
        doorman->closed = 1;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void set_doorman(CURL *curl, struct doorman *doorman)
{
    if (!doorman->policy)
        return;
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, doorman);
}

static void set_up(CURL *curl, const struct post *post, struct receiver *receiver)
{
    only_http(curl);
    curl_easy_setopt(curl, CURLOPT_URL, post->url);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_LIMIT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, post->time_limit_ms > 0 ? post->time_limit_ms : TIME_LIMIT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, receiver);
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
        if (!receiver->discard)
            answer->json = json_of_bytes((struct jobq_bytes){receiver->text, receiver->size});
    } else {
        snprintf(answer->problem, sizeof(answer->problem), "%s",
                 code == CURLE_WRITE_ERROR ? "the answer is too large" : curl_easy_strerror(code));
    }
}

void post_run(const struct post *post, struct post_answer *answer)
{
    struct receiver receiver = {.most = post->answer_max_bytes > 0 ? post->answer_max_bytes : ANSWER_BYTES,
                                .discard = post->status_only};
    struct doorman doorman = {.policy = post->policy};
    struct curl_slist *headers = headers_of(post);
    CURL *curl = curl_easy_init();

    *answer = (struct post_answer){.status = 0};
    if (curl) {
        set_up(curl, post, &receiver);
        set_doorman(curl, &doorman);
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
    char *url = malloc(size + strlen(path) + 1);

    while (size > 0 && base[size - 1] == '/')
        size--;
    if (url) {
        memcpy(url, base, size);
        strcpy(url + size, path);
    }
    return url;
}
