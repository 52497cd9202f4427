/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX_BYTES   ((size_t)64 << 20)
#define CONNECT_TIMEOUT_MS 5000L

static size_t take(char *data, size_t size, size_t count, void *user)
{
    struct client_answer *answer = user;
    size_t bytes = size * count;
    char *body =
        answer->size + bytes > ANSWER_MAX_BYTES ? NULL : realloc(answer->body, answer->size + bytes + 1);

    if (!body)
        return 0;
    memcpy(body + answer->size, data, bytes);
    answer->body = body;
    answer->size += bytes;
    body[answer->size] = '\0';
    return bytes;
}

static int watch(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const atomic_int *give_up = user;

    (void)a, (void)b, (void)c, (void)d;
    return give_up && atomic_load(give_up);
}

static void set_up(CURL *curl, const struct client *client, const char *method, const char *url,
                   const char *body, struct client_answer *out)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, client->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)(size_t)client->give_up);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, out->why);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
}

void client_ask(const struct client *client, const char *method, const char *path, const char *body,
                struct client_answer *out)
{
    struct curl_slist *headers =
        curl_slist_append(NULL, body && strstr(path, "_bulk") ? "Content-Type: application/x-ndjson"
                                                              : "Content-Type: application/json");
    CURL *curl = curl_easy_init();
    char url[2048];
    CURLcode code = CURLE_OUT_OF_MEMORY;

    *out = (struct client_answer){.status = 0};
    if (curl && headers && snprintf(url, sizeof(url), "%s%s", client->url, path) < (int)sizeof(url)) {
        set_up(curl, client, method, url, body, out);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        code = curl_easy_perform(curl);
    }
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
    else if (!out->why[0])
        snprintf(out->why, sizeof(out->why), "%s", curl_easy_strerror(code));
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}

void client_answer_free(struct client_answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}
