/* SPDX-License-Identifier: MIT */
/* An answer: JSON, bytes, a file or a stream. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_inner.h"
#include "text.h"

#define STREAM_PIECE 4096

/* Nothing that is answered is a page of its own, unless a route says so. */
#define POLICY "default-src 'none'; frame-ancestors 'none'"

void http_error(struct http_reply *reply, unsigned status, const char *field, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_decref(reply->body);
    reply->status = status;
    reply->body = json_pack("{s:o}", "error", json_of_text(text, strlen(text), sizeof(text)));
    if (*field)
        json_object_set_new(reply->body, "field", json_string(field));
}

void http_set_header(struct http_reply *reply, const char *name, const char *format, ...)
{
    char *value = reply->headers[reply->header_count].value;
    size_t room = sizeof(reply->headers[0].value);
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(value, room, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= room || reply->header_count == HTTP_HEADERS_MOST - 1)
        return;
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return;
    reply->headers[reply->header_count++].name = name;
}

void http_reply_free(struct http_reply *reply)
{
    json_decref(reply->body);
    free(reply->text);
    if (reply->fd > 0)
        close(reply->fd);
    if (reply->stream)
        reply->stream->free(reply->stream);
    *reply = (struct http_reply){.status = 0};
}

static int has_header(const struct http_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcmp(reply->headers[i].name, name) == 0)
            return 1;
    return 0;
}

static void set_headers(struct MHD_Response *response, const struct http_reply *reply)
{
    static const char *const always[][2] = {
        {"Cache-Control", "no-store"},         {"Content-Security-Policy", POLICY},
        {"X-Content-Type-Options", "nosniff"}, {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},    {"Cross-Origin-Resource-Policy", "same-origin"},
    };
    char seconds[16];

    MHD_add_response_header(response, "Content-Type", reply->type ? reply->type : "application/json");
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
        if (!has_header(reply, always[i][0]))
            MHD_add_response_header(response, always[i][0], always[i][1]);
    for (size_t i = 0; i < reply->header_count; i++)
        MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    if (reply->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (reply->retry_after_s > 0) {
        snprintf(seconds, sizeof(seconds), "%d", reply->retry_after_s);
        MHD_add_response_header(response, "Retry-After", seconds);
    }
}

/* ---- streams --------------------------------------------------------------------------------- */

static ssize_t read_stream(void *user, uint64_t position, char *out, size_t room)
{
    struct exchange *exchange = user;

    (void)position;
    for (;;) {
        unsigned long turn = http_turn(exchange->server, HTTP_WAIT_CHANGE);
        ssize_t got = -1;
        if (!http_stopping(exchange->server))
            got = exchange->stream->read(exchange->stream, out, room);
        if (got != 0)
            return got < 0 ? MHD_CONTENT_READER_END_OF_STREAM : got;
        if (http_suspend(exchange, exchange->connection, HTTP_WAIT_CHANGE, turn, NULL))
            return 0;
    }
}

/* ---- sending --------------------------------------------------------------------------------- */

static struct MHD_Response *of_stream(struct exchange *exchange, struct MHD_Connection *connection,
                                      struct http_reply *reply)
{
    struct MHD_Response *response;

    exchange->stream = reply->stream;
    exchange->connection = connection;
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_PIECE, read_stream, exchange, NULL);
    return response;
}

static struct MHD_Response *of_text(struct http_reply *reply)
{
    char *text = reply->type ? reply->text : text_of_json(reply->body);
    size_t size = reply->type ? reply->size : text ? strlen(text) : 0;
    struct MHD_Response *response = MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);

    if (!response)
        free(text);
    reply->text = NULL;
    return response;
}

static struct MHD_Response *response_of(struct exchange *exchange, struct MHD_Connection *connection,
                                        struct http_reply *reply)
{
    struct MHD_Response *response;

    if (reply->stream)
        return of_stream(exchange, connection, reply);
    if (reply->type && reply->data)
        return MHD_create_response_from_buffer(reply->size, (void *)(uintptr_t)reply->data,
                                               MHD_RESPMEM_PERSISTENT);
    if (!reply->type || reply->fd <= 0)
        return of_text(reply);
    response = MHD_create_response_from_fd_at_offset64(reply->size, reply->fd, (uint64_t)reply->offset);
    if (response)
        reply->fd = 0;
    return response;
}

enum MHD_Result http_send(struct exchange *exchange, struct MHD_Connection *connection,
                          struct http_reply *reply, int close)
{
    struct MHD_Response *response = response_of(exchange, connection, reply);
    enum MHD_Result result = MHD_NO;

    if (response) {
        set_headers(response, reply);
        if (close)
            MHD_add_response_header(response, "Connection", "close");
        result = MHD_queue_response(connection, reply->status, response);
        MHD_destroy_response(response);
    }
    reply->stream = NULL; /* it is the exchange's now */
    http_reply_free(reply);
    return result;
}
