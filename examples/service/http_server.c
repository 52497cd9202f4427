/* SPDX-License-Identifier: MIT */
/* The server: starting, stopping, and answers that wait. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http_inner.h"

#define CONNECTIONS_MOST  2048
#define SPARE_DESCRIPTORS 256 /* for the store, files and children */
#define ACCEPT_PAUSE_NS   100000000L
#define CONNECTION_MEMORY 32768 /* request line and headers */
#define IDLE_S            10
#define STOP_TURNS        40
#define STOP_TURN_NS      50000000L

/* A path is taken as it was sent: "%2e" is no dot. */
static size_t leave_escapes(void *user, struct MHD_Connection *connection, char *text)
{
    (void)user;
    (void)connection;
    return strlen(text);
}

/* Nothing is said. A thread that has no connection and cannot take one because descriptors or memory are used
 * up tells so and tries again at once, for as long as it lasts: it is held up here, the one place it comes
 * by. */
static void be_quiet(void *user, const char *format, va_list arguments)
{
    (void)user;
    (void)arguments;
    if (strstr(format, "resource limit"))
        nanosleep(&(struct timespec){.tv_nsec = ACCEPT_PAUSE_NS}, NULL);
}

/* ---- answers that wait ------------------------------------------------------------------------ */

unsigned long http_turn(struct http_server *server, enum http_wait wait)
{
    return atomic_load(&server->turn[wait]);
}

int http_stopping(struct http_server *server)
{
    return atomic_load(&server->stopping);
}

int http_suspend(struct exchange *exchange, struct MHD_Connection *connection, enum http_wait wait,
                 unsigned long turn, const struct http_topic *topic)
{
    struct http_server *server = exchange->server;
    int suspend;

    if (topic) {
        exchange->topic = *topic;
        exchange->until_ms = http_now_ms() + topic->wait_ms;
    }
    pthread_mutex_lock(&server->lock);
    suspend = atomic_load(&server->turn[wait]) == turn;
    if (suspend) {
        exchange->connection = connection;
        exchange->suspended = wait;
        exchange->before = NULL;
        exchange->behind = server->suspended[wait];
        if (exchange->behind)
            exchange->behind->before = exchange;
        server->suspended[wait] = exchange;
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&server->lock);
    return suspend;
}

/* The lock is held. */
static void leave(struct http_server *server, struct exchange *exchange)
{
    enum http_wait wait = exchange->suspended;

    if (wait == HTTP_WAIT_NONE)
        return;
    exchange->suspended = HTTP_WAIT_NONE;
    if (exchange->behind)
        exchange->behind->before = exchange->before;
    if (exchange->before)
        exchange->before->behind = exchange->behind;
    else
        server->suspended[wait] = exchange->behind;
}

void http_forget(struct exchange *exchange)
{
    pthread_mutex_lock(&exchange->server->lock);
    leave(exchange->server, exchange);
    pthread_mutex_unlock(&exchange->server->lock);
    if (exchange->stream)
        exchange->stream->free(exchange->stream);
    if (exchange->kept.free)
        exchange->kept.free(exchange->kept.what);
}

/* Those whose topic is `news`, or all of them where that is NULL. They are resumed without the lock, which
 * they want as soon as they go on; until then nobody else touches them. Who stops the server must find none
 * half awake: it comes by here last. */
static void wake(struct http_server *server, enum http_wait wait,
                 int (*news)(void *user, const struct http_topic *topic), void *user)
{
    struct exchange *woken = NULL, *next;
    int64_t now = news ? http_now_ms() : 0;

    pthread_mutex_lock(&server->waking);
    pthread_mutex_lock(&server->lock);
    atomic_fetch_add(&server->turn[wait], 1);
    for (struct exchange *exchange = server->suspended[wait]; exchange; exchange = next) {
        next = exchange->behind;
        if (news && exchange->until_ms > now && !news(user, &exchange->topic))
            continue;
        leave(server, exchange);
        exchange->behind = woken;
        woken = exchange;
    }
    pthread_mutex_unlock(&server->lock);
    for (; woken; woken = next) {
        next = woken->behind;
        MHD_resume_connection(woken->connection);
    }
    pthread_mutex_unlock(&server->waking);
}

void http_wake(struct http_server *server)
{
    wake(server, HTTP_WAIT_CHANGE, NULL, NULL);
}

void http_wake_short(struct http_server *server)
{
    wake(server, HTTP_WAIT_SHORT, NULL, NULL);
}

void http_wake_topics(struct http_server *server, int (*news)(void *user, const struct http_topic *topic),
                      void *user)
{
    wake(server, HTTP_WAIT_TOPIC, news, user);
}

static void wake_all(struct http_server *server)
{
    for (enum http_wait wait = HTTP_WAIT_CHANGE; wait < HTTP_WAITS; wait++)
        wake(server, wait, NULL, NULL);
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
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    char host[64], port[8];

    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
        getnameinfo((const struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(server->address, sizeof(server->address),
                 address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* Descriptors that this process may have, after asking for as many as are wanted. */
static rlim_t descriptors(void)
{
    const rlim_t wanted = CONNECTIONS_MOST + SPARE_DESCRIPTORS;
    struct rlimit limit, more;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    more = limit;
    more.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (limit.rlim_cur < more.rlim_cur && setrlimit(RLIMIT_NOFILE, &more) == 0)
        return more.rlim_cur;
    return limit.rlim_cur;
}

/* Connections never use up what else needs descriptors. */
static unsigned connections_most(void)
{
    rlim_t have = descriptors();
    rlim_t most = have >= 2 * SPARE_DESCRIPTORS ? have - SPARE_DESCRIPTORS : have / 2;

    return most >= CONNECTIONS_MOST ? CONNECTIONS_MOST : most < HTTP_THREADS ? HTTP_THREADS : (unsigned)most;
}

/* One address, which may be a proxy's, leaves a quarter to others. */
static struct MHD_Daemon *start_daemon(struct http_server *server, int fd, unsigned address_most)
{
    unsigned most = connections_most();

    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
        NULL, http_on_request, server, MHD_OPTION_EXTERNAL_LOGGER, be_quiet, NULL, MHD_OPTION_LISTEN_SOCKET,
        fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)HTTP_THREADS, MHD_OPTION_CONNECTION_LIMIT, most,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, address_most ? address_most : most - most / 4,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed,
        server, MHD_OPTION_NOTIFY_CONNECTION, http_watch_line, server, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_escapes, NULL, MHD_OPTION_END);
}

struct http_server *http_start(const struct http_options *options, const char **why)
{
    struct http_server *server = calloc(1, sizeof(*server));
    int fd = server ? open_socket(options->listen, why) : -1;

    if (fd < 0) {
        free(server);
        return NULL;
    }
    server->mounts = options->mounts;
    server->open = options->open;
    server->head_ms = options->head_ms ? options->head_ms : HTTP_HEAD_MS;
    server->body_ms = options->body_ms ? options->body_ms : HTTP_BODY_MS;
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->waking, NULL);
    write_address(server, fd);
    if (http_watch_begin(server) == 0 &&
        (server->daemon = start_daemon(server, fd, options->address_most)) != NULL)
        return server;
    *why = "the HTTP server could not be started";
    http_watch_end(server);
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
    atomic_store(&server->stopping, 1);
    for (int turn = 0; turn < STOP_TURNS && connections(server) > 0; turn++) {
        wake_all(server);
        nanosleep(&(struct timespec){.tv_nsec = STOP_TURN_NS}, NULL);
    }
    wake_all(server);
    MHD_stop_daemon(server->daemon);
    http_watch_end(server);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    pthread_mutex_destroy(&server->waking);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
