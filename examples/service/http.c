/* SPDX-License-Identifier: MIT */
/* A request: what it must look like, which route takes it, its body. */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_inner.h"

#define DISCARD_MOST (8ull << 20) /* of a body that is refused */

/* ---- what a request must look like ----------------------------------------------------------- */

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_cookie(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, name);
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

const char *http_query(const struct http_request *request, const char *name, char *out, size_t room)
{
    const char *text = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
    size_t n = 0;

    for (const char *at = text; at && *at && n + 1 < room; at++) {
        int high = *at == '%' ? digit(at[1]) : -1;
        int low = high >= 0 ? digit(at[2]) : -1;
        out[n] = *at;
        if (low >= 0) {
            out[n] = (char)(high << 4 | low);
            at += 2;
        }
        if (out[n++] == '\0')
            return NULL;
    }
    out[n] = '\0';
    return text ? out : NULL;
}

void http_peer(const struct http_request *request, char out[64])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    socklen_t size =
        address && address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    if (!address || getnameinfo(address, size, out, 64, NULL, 0, NI_NUMERICHOST) != 0)
        strcpy(out, "?");
}

int http_same_site(const struct http_request *request)
{
    const char *origin = http_header(request, "Origin"), *host = http_header(request, "Host");
    const char *site = http_header(request, "Sec-Fetch-Site"), *at = origin ? strstr(origin, "://") : NULL;

    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return 0;
    return !origin || (at && host && strcasecmp(at + 3, host) == 0);
}

struct counted {
    const char *name;
    int count;
};

static enum MHD_Result count_header(void *user, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct counted *counted = user;

    (void)kind;
    (void)value;
    counted->count += strcasecmp(name, counted->name) == 0;
    return MHD_YES;
}

static int headers_named(struct MHD_Connection *connection, const char *name)
{
    struct counted counted = {.name = name};

    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_header, &counted);
    return counted.count;
}

static int host_is_loopback(const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t size = strlen(names[i]);
        if (strncasecmp(host, names[i], size) == 0 && (host[size] == '\0' || host[size] == ':'))
            return 1;
    }
    return 0;
}

/* A page of another site, open in a browser on this machine, can reach loopback too: by its own name (the
 * host) or straight (the origin). */
static int check_origin(const struct http_server *server, const struct http_request *request,
                        struct http_reply *reply)
{
    const char *host = http_header(request, "Host");

    if (headers_named(request->connection, "Host") != 1)
        http_error(reply, MHD_HTTP_BAD_REQUEST, "Host", "exactly one is needed");
    else if (server->open && !host_is_loopback(host))
        http_error(reply, MHD_HTTP_FORBIDDEN, "Host",
                   "this server has no token file and answers to its loopback name only");
    else if (server->open && !http_same_site(request))
        http_error(reply, MHD_HTTP_FORBIDDEN, "Origin",
                   "this server has no token file and takes nothing from other sites' pages");
    else
        return 0;
    return -1;
}

static int has_json_type(const struct http_request *request)
{
    const char *type = http_header(request, "Content-Type");
    size_t size = strlen("application/json");

    return type && strncasecmp(type, "application/json", size) == 0 && strchr("; \t", type[size]) != NULL;
}

static int check_body(const struct http_request *request, const struct http_route *route,
                      struct http_reply *reply)
{
    const char *length = http_header(request, "Content-Length");
    int lengths = headers_named(request->connection, "Content-Length");

    if (headers_named(request->connection, "Transfer-Encoding") > 0)
        http_error(reply, MHD_HTTP_LENGTH_REQUIRED, "Transfer-Encoding", "not taken: send a Content-Length");
    else if (lengths > 1)
        http_error(reply, MHD_HTTP_BAD_REQUEST, "Content-Length", "more than one was sent");
    else if (lengths == 0 && route->body_optional)
        return 0;
    else if (lengths == 0 && route->body_max_bytes > 0)
        http_error(reply, MHD_HTTP_LENGTH_REQUIRED, "Content-Length", "it is missing");
    else if (length && (strlen(length) > 12 || strspn(length, "0123456789") != strlen(length)))
        http_error(reply,
                   strspn(length, "0123456789") == strlen(length) ? MHD_HTTP_CONTENT_TOO_LARGE
                                                                  : MHD_HTTP_BAD_REQUEST,
                   "Content-Length", "it is no number of bytes that can be taken");
    else if (length && strtoull(length, NULL, 10) > route->body_max_bytes)
        http_error(reply, MHD_HTTP_CONTENT_TOO_LARGE, "", "the body is longer than %zu bytes",
                   route->body_max_bytes);
    else if (route->body_max_bytes > 0 && !(route->body_optional && length && strcmp(length, "0") == 0) &&
             !has_json_type(request))
        http_error(reply, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "Content-Type", "it must be application/json");
    else
        return 0;
    return -1;
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* The rest of the path when it is the route's, else NULL. */
static const char *path_rest(const struct http_mount *mount, const struct http_route *route, const char *path)
{
    size_t prefix = strlen(mount->prefix), size = strlen(route->path);

    if (strncmp(path, mount->prefix, prefix) != 0)
        return NULL;
    path += prefix;
    if (route->path[size - 1] != '/' || size == 1)
        return strcmp(path, route->path) == 0 ? path + size : NULL;
    if (strncmp(path, route->path, size) != 0 || path[size] == '\0' || strchr(path + size, '/'))
        return NULL;
    return path + size;
}

/* Returns 0 with the mount and the route, or -1 with the reply filled. */
static int find_route(const struct http_server *server, const struct http_request *request,
                      struct exchange *out, struct http_reply *reply)
{
    int known = 0;

    for (const struct http_mount *mount = server->mounts; mount->routes; mount++)
        for (const struct http_route *route = mount->routes; route->method; route++) {
            int here = path_rest(mount, route, request->path) != NULL;
            known |= here;
            if (here && strcmp(route->method, request->method) == 0) {
                out->mount = mount;
                out->route = route;
                return 0;
            }
        }
    if (known)
        http_error(reply, MHD_HTTP_METHOD_NOT_ALLOWED, "", "this path does not take that method");
    else
        http_error(reply, MHD_HTTP_NOT_FOUND, "", "there is nothing at this path");
    return -1;
}

/* ---- one request ----------------------------------------------------------------------------- */

/* Is its end known, and worth waiting for? */
static int can_discard(const struct http_request *request)
{
    const char *length = http_header(request, "Content-Length");

    return headers_named(request->connection, "Transfer-Encoding") == 0 &&
           headers_named(request->connection, "Content-Length") == 1 && strlen(length) <= 12 &&
           strspn(length, "0123456789") == strlen(length) && strtoull(length, NULL, 10) <= DISCARD_MOST;
}

static enum MHD_Result begin(struct http_server *server, struct http_request *request, void **state)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    struct http_reply *reply;

    if (!exchange)
        return MHD_NO;
    *state = exchange;
    exchange->server = server;
    reply = &exchange->refusal;
    http_watch_set(request->connection, server->body_ms);
    if (check_origin(server, request, reply) != 0 || find_route(server, request, exchange, reply) != 0 ||
        check_body(request, exchange->route, reply) != 0)
        exchange->route = NULL;
    if (!exchange->route && !can_discard(request))
        return http_send(exchange, request->connection, reply, 1);
    return MHD_YES;
}

/* Content-Length was within the limit, and libmicrohttpd hands over no more than it. */
static enum MHD_Result collect(struct exchange *exchange, const char *bytes, size_t size)
{
    if (!exchange->route)
        return MHD_YES;
    if (exchange->size + size > exchange->route->body_max_bytes)
        return MHD_NO;
    if (exchange->size + size > exchange->room) {
        size_t room = 2 * (exchange->size + size);
        char *more = realloc(exchange->body, room);
        if (!more)
            return MHD_NO;
        exchange->body = more;
        exchange->room = room;
    }
    memcpy(exchange->body + exchange->size, bytes, size);
    exchange->size += size;
    return MHD_YES;
}

static enum MHD_Result finish(struct http_server *server, struct http_request *request,
                              struct exchange *exchange)
{
    unsigned long turn[HTTP_WAITS];
    struct http_reply reply;
    struct http_topic topic;
    enum http_wait wait;

    http_watch_set(request->connection, 0);
    if (exchange->whole_ms == 0)
        exchange->whole_ms = http_now_ms();
    if (!exchange->route)
        return http_send(exchange, request->connection, &exchange->refusal, 1);
    request->rest = path_rest(exchange->mount, exchange->route, request->path);
    request->body = exchange->body ? exchange->body : "";
    request->body_size = exchange->size;
    request->note = exchange->note;
    request->kept = &exchange->kept;
    do {
        for (wait = HTTP_WAIT_CHANGE; wait < HTTP_WAITS; wait++)
            turn[wait] = http_turn(server, wait);
        reply = (struct http_reply){.status = MHD_HTTP_INTERNAL_SERVER_ERROR};
        request->last = http_stopping(server);
        request->waited_ms = http_now_ms() - exchange->whole_ms;
        exchange->route->answer(exchange->mount->user, request, &reply);
        wait = reply.put_off;
        topic = reply.topic;
        if (wait == HTTP_WAIT_NONE || request->last)
            return http_send(exchange, request->connection, &reply, 0);
        http_reply_free(&reply);
    } while (!http_suspend(exchange, request->connection, wait, turn[wait], &topic));
    return MHD_YES;
}

enum MHD_Result http_on_request(void *user, struct MHD_Connection *connection, const char *path,
                                const char *method, const char *version, const char *bytes, size_t *size,
                                void **state)
{
    struct http_server *server = user;
    struct http_request request = {.method = method, .path = path, .rest = "", .connection = connection};

    (void)version;
    if (!*state)
        return begin(server, &request, state);
    if (*size > 0) {
        enum MHD_Result result = collect(*state, bytes, *size);
        *size = 0;
        return result;
    }
    return finish(server, &request, *state);
}

void http_on_completed(void *user, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *state;

    (void)user;
    (void)code;
    if (!exchange)
        return;
    http_forget(exchange);
    http_watch_set(connection, exchange->server->head_ms);
    http_reply_free(&exchange->refusal);
    free(exchange->body);
    free(exchange);
    *state = NULL;
}
