/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "text.h"

#define URL_MAX_BYTES         2048
#define CANDIDATE_MAX_BYTES   255
#define SECRET_NAME_MAX_BYTES 64

static int refuse(struct request *request, int status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int refuse(struct request *request, int status, const char *field, const char *format, ...)
{
    va_list arguments;

    request->status = status;
    request->field = field;
    va_start(arguments, format);
    vsnprintf(request->problem, sizeof(request->problem), format, arguments);
    va_end(arguments);
    return -1;
}

/* ---- the body's members ---------------------------------------------------------------------- */

static const char *const members[] = {"videoPath", "videoUrl",    "jobId",
                                      "metadata",  "callbackUrl", "callbackSecret"};

static int check_members(struct request *request, const json_t *body)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)body, name, value)
    {
        size_t i = 0;
        while (i < sizeof(members) / sizeof(members[0]) && strcmp(members[i], name) != 0)
            i++;
        if (i == sizeof(members) / sizeof(members[0]))
            return refuse(request, 400, "", "there is no member of this name: %.64s", name);
    }
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns the size of what was decoded, or -1 for a '%' without two digits behind it. */
static int percent_decode(const char *text, size_t size, char *out)
{
    int used = 0;

    for (size_t i = 0; i < size; i++) {
        int high, low;
        if (text[i] != '%') {
            out[used++] = text[i];
            continue;
        }
        high = i + 2 < size ? hex_value(text[i + 1]) : -1;
        low = high >= 0 ? hex_value(text[i + 2]) : -1;
        if (low < 0)
            return -1;
        out[used++] = (char)(unsigned char)(16 * high + low);
        i += 2;
    }
    return used;
}

static int starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* "file:" with an empty or this machine's host, decoded. */
static int file_of_url(struct request *request, const char *url, size_t size, char *out, size_t *out_size)
{
    int decoded;

    if (size > URL_MAX_BYTES)
        return refuse(request, 400, "videoUrl", "it is longer than %d bytes", URL_MAX_BYTES);
    url += 5;
    size -= 5;
    if (size >= 2 && url[0] == '/' && url[1] == '/') {
        size_t host = strcspn(url + 2, "/");
        if (host > 0 && !(host == 9 && memcmp(url + 2, "localhost", 9) == 0))
            return refuse(request, 400, "videoUrl", "a file: URL must not name another machine");
        url += 2 + host;
        size -= 2 + host;
    }
    decoded = percent_decode(url, size, out);
    if (decoded < 0)
        return refuse(request, 400, "videoUrl", "a '%%' must be followed by two hexadecimal digits");
    out[decoded] = '\0';
    *out_size = (size_t)decoded;
    return 0;
}

static int has_scheme(const char *text)
{
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    return size > 1 && text[size] == ':' && text[size + 1] == '/' && text[size + 2] == '/';
}

static int name_of_url(struct request *request, const json_t *value, char *out, size_t *out_size)
{
    const char *url = json_string_value(value);
    size_t size = json_string_length(value);

    if (starts_with(url, "file:"))
        return file_of_url(request, url, size, out, out_size);
    if (has_scheme(url))
        return refuse(request, 422, "videoUrl", "only file: and names below the media folder are taken");
    if (size > URL_MAX_BYTES)
        return refuse(request, 400, "videoUrl", "it is longer than %d bytes", URL_MAX_BYTES);
    memcpy(out, url, size + 1);
    *out_size = size;
    return 0;
}

static int is_elsewhere(const char *url)
{
    return url && (starts_with(url, "http:") || starts_with(url, "https:"));
}

static int read_url(struct request *request, const json_t *url)
{
    if (json_string_length(url) > URL_MAX_BYTES)
        return refuse(request, 400, "videoUrl", "it is longer than %d bytes", URL_MAX_BYTES);
    request->url = strdup(json_string_value(url));
    return request->url ? 0 : refuse(request, 503, "", "out of memory");
}

/* The file, found below the folder. */
static int read_video(struct request *request, const struct folder *folder, const json_t *body,
                      char name[FOLDER_NAME_MAX_BYTES + 1])
{
    const json_t *path = json_object_get(body, "videoPath"), *url = json_object_get(body, "videoUrl");
    const char *field = path ? "videoPath" : "videoUrl";
    const char *problem;
    char decoded[URL_MAX_BYTES + 1];
    size_t decoded_size = 0;
    struct stat facts;

    if (!path == !url)
        return refuse(request, 400, "videoPath", "either videoPath or videoUrl is needed, and not both");
    if (!json_is_string(path ? path : url))
        return refuse(request, 400, field, "it must be a string");
    if (!path && is_elsewhere(json_string_value(url)))
        return read_url(request, url);
    if (url && name_of_url(request, url, decoded, &decoded_size) != 0)
        return -1;
    problem = path ? folder_relative(folder, json_string_value(path), json_string_length(path), name)
                   : folder_relative(folder, decoded, decoded_size, name);
    if (!problem && starts_with(name, FETCHED_FOLDER "/"))
        problem = "what was fetched belongs to its own submission";
    if (!problem)
        problem = folder_look(folder, name, &facts);
    if (!problem && facts.st_size == 0)
        problem = "the file is empty";
    return problem ? refuse(request, 400, field, "%s", problem) : 0;
}

static int read_metadata(struct request *request, const json_t *body)
{
    const json_t *metadata = json_object_get(body, "metadata");
    const json_t *candidate = json_object_get(metadata, "candidate"),
                 *share = json_object_get(metadata, "share");

    if (metadata && !json_is_object(metadata))
        return refuse(request, 400, "metadata", "it must be an object");
    if (candidate && (!json_is_string(candidate) || json_string_length(candidate) > CANDIDATE_MAX_BYTES))
        return refuse(request, 400, "metadata.candidate", "it must be a string of at most %d bytes",
                      CANDIDATE_MAX_BYTES);
    if (share && !json_is_boolean(share))
        return refuse(request, 400, "metadata.share", "it must be true or false");
    return 0;
}

/* It becomes the name of a file. */
static int read_callback_secret(struct request *request, const json_t *body)
{
    static const char taken[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const json_t *name = json_object_get(body, "callbackSecret");
    const char *text = json_string_value(name);

    if (!name)
        return 0;
    if (!text || !*text || strlen(text) > SECRET_NAME_MAX_BYTES || strspn(text, taken) != strlen(text))
        return refuse(request, 400, "callbackSecret",
                      "it must be the name of a secret: 1 to %d letters, digits, '_' or '-'",
                      SECRET_NAME_MAX_BYTES);
    if (!json_object_get(body, "callbackUrl"))
        return refuse(request, 400, "callbackSecret", "there is no callbackUrl for it");
    return 0;
}

static int read_callback_url(struct request *request, const json_t *body)
{
    const json_t *url = json_object_get(body, "callbackUrl");
    const char *text = json_string_value(url);

    if (read_callback_secret(request, body) != 0)
        return -1;
    if (!url)
        return 0;
    if (!text || json_string_length(url) > URL_MAX_BYTES ||
        !(starts_with(text, "http://") || starts_with(text, "https://")))
        return refuse(request, 400, "callbackUrl", "it must be an http: or https: URL of at most %d bytes",
                      URL_MAX_BYTES);
    request->callback_url = strdup(text);
    return request->callback_url ? 0 : refuse(request, 503, "", "out of memory");
}

/* ---- the idempotency key --------------------------------------------------------------------- */

static int check_key(struct request *request, const char *field, const char *key, size_t size)
{
    if (size < 1 || size > REQUEST_KEY_MAX_BYTES)
        return refuse(request, 400, field, "it must have 1 to %d bytes", REQUEST_KEY_MAX_BYTES);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)key[i] < ' ' || key[i] == 0x7f)
            return refuse(request, 400, field, "it must not hold control characters");
    return 0;
}

static int read_key(struct request *request, const json_t *body, const char *header_key)
{
    const json_t *own = json_object_get(body, "jobId");
    const char *key = own ? json_string_value(own) : header_key;

    if (own && !key)
        return refuse(request, 400, "jobId", "it must be a string");
    if (header_key && check_key(request, "Idempotency-Key", header_key, strlen(header_key)) != 0)
        return -1;
    if (own && check_key(request, "jobId", key, json_string_length(own)) != 0)
        return -1;
    if (own && header_key && strcmp(key, header_key) != 0)
        return refuse(request, 400, "jobId", "jobId and the header Idempotency-Key name two different keys");
    if (!key)
        return 0;
    request->key = strdup(key);
    return request->key ? 0 : refuse(request, 503, "", "out of memory");
}

/* ---- the whole ------------------------------------------------------------------------------- */

static char *payload_of(const json_t *body, const char *video, const char *url)
{
    static const char *const kept[] = {"metadata", "callbackUrl", "callbackSecret"};
    json_t *payload = url ? json_pack("{s:s}", "url", url) : json_pack("{s:s}", "video", video);
    char *text;

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        json_t *value = json_object_get(body, kept[i]);
        if (value)
            json_object_set(payload, kept[i], value);
    }
    text = text_of_json(payload);
    json_decref(payload);
    return text;
}

static int read_body(struct request *request, const struct folder *folder, const json_t *body,
                     const char *header_key)
{
    char video[FOLDER_NAME_MAX_BYTES + 1];

    if (!json_is_object(body))
        return refuse(request, 400, "", "the body must be a JSON object");
    if (check_members(request, body) != 0 || read_metadata(request, body) != 0 ||
        read_callback_url(request, body) != 0 || read_key(request, body, header_key) != 0 ||
        read_video(request, folder, body, video) != 0)
        return -1;
    request->payload = payload_of(body, video, request->url);
    return request->payload ? 0 : refuse(request, 503, "", "out of memory");
}

int request_read(struct request *request, const struct folder *folder, const void *body, size_t body_size,
                 const char *header_key)
{
    json_error_t error;
    json_t *json;
    int result;

    memset(request, 0, sizeof(*request));
    json = json_loadb(body, body_size, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return refuse(request, 400, "", "the body is no JSON that can be taken: %.160s (line %d)", error.text,
                      error.line);
    result = read_body(request, folder, json, header_key);
    json_decref(json);
    return result;
}

void request_free(struct request *request)
{
    free(request->payload);
    free(request->key);
    free(request->callback_url);
    free(request->url);
    request->payload = request->key = request->callback_url = request->url = NULL;
}
