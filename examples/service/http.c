/* SPDX-License-Identifier: MIT */
#include "http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

#define THREADS           4
#define CONNECTIONS_MOST  512
#define CONNECTION_MEMORY 32768 /* request line and headers */
#define IDLE_S            10
#define DISCARD_MOST      (8ull << 20) /* of a body that is refused */
#define STOP_TURNS        40
#define STOP_TURN_NS      50000000L

struct http_server {
    struct MHD_Daemon *daemon;
    const struct http_route *routes;
    void *user;
    int open;
    char address[128];
};

/* One request while it arrives. One that is refused already is still taken in, because a client that is
 * writing does not look for an answer. */
struct exchange {
    const struct http_route *route; /* NULL: refused */
    struct http_reply refusal;
    char *body;
    size_t size, room;
};

/* ---- replies --------------------------------------------------------------------------------- */

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

static void set_headers(struct MHD_Response *response, const struct http_reply *reply)
{
    char seconds[16];

    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (reply->retry_after_s > 0) {
        snprintf(seconds, sizeof(seconds), "%d", reply->retry_after_s);
        MHD_add_response_header(response, "Retry-After", seconds);
    }
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct http_reply *reply, int close)
{
    char *text = text_of_json(reply->body);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text ? strlen(text) : 0, text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result = MHD_NO;

    json_decref(reply->body);
    reply->body = NULL;
    if (!response) {
        free(text);
        return MHD_NO;
    }
    set_headers(response, reply);
    if (close)
        MHD_add_response_header(response, "Connection", "close");
    result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- what a request must look like ----------------------------------------------------------- */

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
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
    else if (server->open && http_header(request, "Origin"))
        http_error(reply, MHD_HTTP_FORBIDDEN, "Origin",
                   "this server has no token file and takes nothing from web pages");
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
    else if (route->body_max_bytes > 0 && !has_json_type(request))
        http_error(reply, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "Content-Type", "it must be application/json");
    else
        return 0;
    return -1;
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* The rest of the path when it is the route's, else NULL. */
static const char *path_rest(const struct http_route *route, const char *path)
{
    size_t size = strlen(route->path);

    if (route->path[size - 1] != '/')
        return strcmp(path, route->path) == 0 ? path + size : NULL;
    if (strncmp(path, route->path, size) != 0 || path[size] == '\0' || strchr(path + size, '/'))
        return NULL;
    return path + size;
}

static const struct http_route *find_route(const struct http_server *server, struct http_request *request,
                                           struct http_reply *reply)
{
    int known = 0;

    for (const struct http_route *route = server->routes; route->method; route++) {
        const char *rest = path_rest(route, request->path);
        known |= rest != NULL;
        if (rest && strcmp(route->method, request->method) == 0) {
            request->rest = rest;
            return route;
        }
    }
    if (known)
        http_error(reply, MHD_HTTP_METHOD_NOT_ALLOWED, "", "this path does not take that method");
    else
        http_error(reply, MHD_HTTP_NOT_FOUND, "", "there is nothing at this path");
    return NULL;
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
    struct http_reply reply = {.status = 0};
    const struct http_route *route = NULL;
    struct exchange *exchange;

    if (check_origin(server, request, &reply) == 0)
        route = find_route(server, request, &reply);
    if (route && check_body(request, route, &reply) != 0)
        route = NULL;
    if (!route && !can_discard(request))
        return send_reply(request->connection, &reply, 1);
    exchange = calloc(1, sizeof(*exchange));
    if (!exchange) {
        json_decref(reply.body);
        return MHD_NO;
    }
    exchange->route = route;
    exchange->refusal = reply;
    *state = exchange;
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
    struct http_reply reply = {.status = MHD_HTTP_INTERNAL_SERVER_ERROR};

    if (!exchange->route)
        return send_reply(request->connection, &exchange->refusal, 1);
    request->rest = path_rest(exchange->route, request->path);
    request->body = exchange->body ? exchange->body : "";
    request->body_size = exchange->size;
    exchange->route->answer(server->user, request, &reply);
    return send_reply(request->connection, &reply, 0);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path,
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

static void on_completed(void *user, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *state;

    (void)user;
    (void)connection;
    (void)code;
    if (exchange) {
        free(exchange->body);
        json_decref(exchange->refusal.body);
    }
    free(exchange);
    *state = NULL;
}

/* A path is taken as it was sent: "%2e" is no dot. */
static size_t leave_escapes(void *user, struct MHD_Connection *connection, char *text)
{
    (void)user;
    (void)connection;
    return strlen(text);
}

static void be_quiet(void *user, const char *format, va_list arguments)
{
    (void)user;
    (void)format;
    (void)arguments;
}

/* ---- the server ------------------------------------------------------------------------------ */

static int open_socket(const char *listen_on, const char **why)
{
    struct sockaddr_storage address;
    socklen_t size = 0;
    int fd = -1;

    if (http_parse_address(listen_on, &address, &size, why) != 0)
        return -1;
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (bind(fd, (const struct sockaddr *)&address, size) == 0 && listen(fd, SOMAXCONN) == 0)
            return fd;
    }
    *why = strerror(errno);
    if (fd >= 0)
        close(fd);
    return -1;
}

static void write_address(struct http_server *server, int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char host[64], port[8];

    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
        getnameinfo((const struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(server->address, sizeof(server->address),
                 address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

struct http_server *http_start(const struct http_options *options, const char **why)
{
    struct http_server *server = calloc(1, sizeof(*server));
    int fd = server ? open_socket(options->listen, why) : -1;

    if (fd < 0) {
        free(server);
        return NULL;
    }
    server->routes = options->routes;
    server->user = options->user;
    server->open = options->open;
    write_address(server, fd);
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | MHD_USE_ITC, 0, NULL, NULL, on_request, server,
        MHD_OPTION_EXTERNAL_LOGGER, be_quiet, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MOST,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, NULL, MHD_OPTION_END);
    if (server->daemon)
        return server;
    *why = "the HTTP server could not be started";
    close(fd);
    free(server);
    return NULL;
}

const char *http_address(const struct http_server *server)
{
    return server->address;
}

static unsigned connections(struct http_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

    return info ? info->num_connections : 0;
}

void http_stop(struct http_server *server)
{
    MHD_socket fd;

    if (!server)
        return;
    fd = MHD_quiesce_daemon(server->daemon);
    for (int turn = 0; turn < STOP_TURNS && connections(server) > 0; turn++)
        nanosleep(&(struct timespec){.tv_nsec = STOP_TURN_NS}, NULL);
    MHD_stop_daemon(server->daemon);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    free(server);
}
