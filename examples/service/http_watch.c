/* SPDX-License-Identifier: MIT */
/* Who sends a request byte by byte holds a connection for ever: it is closed when the request is not there in
 * time, however busily it arrives, and soon when its end cannot come any more. */
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "http_inner.h"

#define LOOK_EVERY_S 1

int64_t http_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct line *line_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static int fd_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info ? info->connect_fd : -1;
}

void http_watch_set(struct MHD_Connection *connection, int64_t ms)
{
    struct line *line = line_of(connection);

    if (line)
        atomic_store(&line->until_ms, ms ? http_now_ms() + ms : 0);
}

static void add_line(struct http_server *server, struct line *line)
{
    pthread_mutex_lock(&server->lock);
    line->until_ms = http_now_ms() + server->head_ms;
    line->behind = server->lines;
    if (server->lines)
        server->lines->before = line;
    server->lines = line;
    pthread_mutex_unlock(&server->lock);
}

static void remove_line(struct http_server *server, struct line *line)
{
    pthread_mutex_lock(&server->lock);
    if (line->behind)
        line->behind->before = line->before;
    if (line->before)
        line->before->behind = line->behind;
    else
        server->lines = line->behind;
    pthread_mutex_unlock(&server->lock);
    free(line);
}

/* It is told of the end before the descriptor is closed, so what the list has is never somebody else's. */
void http_watch_line(void *user, struct MHD_Connection *connection, void **context,
                     enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct line *line = calloc(1, sizeof(*line));
        *context = line;
        if (line) {
            line->fd = fd_of(connection);
            add_line(user, line);
        }
    } else if (*context) {
        remove_line(user, *context);
        *context = NULL;
    }
}

/* The other side has said its last in the middle of a request. libmicrohttpd is told once of what has
 * arrived, and if that end was there before the connection was taken it does not see it. What it is about to
 * read, or has read this moment, is given until the next look. */
static int is_left(struct line *line)
{
    char byte;
    int ended = recv(line->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    int before = line->ended;

    line->ended = ended;
    return ended && before;
}

static void *watch(void *user)
{
    struct http_server *server = user;
    struct timespec next;

    pthread_mutex_lock(&server->lock);
    while (server->watching) {
        int64_t now = http_now_ms();
        for (struct line *line = server->lines; line; line = line->behind) {
            int64_t until = atomic_load(&line->until_ms);
            if (!until)
                line->ended = 0;
            else if (until < now || is_left(line))
                shutdown(line->fd, SHUT_RDWR);
        }
        clock_gettime(CLOCK_REALTIME, &next);
        next.tv_sec += LOOK_EVERY_S;
        pthread_cond_timedwait(&server->change, &server->lock, &next);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

int http_watch_begin(struct http_server *server)
{
    pthread_cond_init(&server->change, NULL);
    server->watching = 1;
    if (pthread_create(&server->watch, NULL, watch, server) == 0)
        return 0;
    server->watching = 0;
    return -1;
}

void http_watch_end(struct http_server *server)
{
    int watching;

    pthread_mutex_lock(&server->lock);
    watching = server->watching;
    server->watching = 0;
    pthread_cond_broadcast(&server->change);
    pthread_mutex_unlock(&server->lock);
    if (watching)
        pthread_join(server->watch, NULL);
    pthread_cond_destroy(&server->change);
}
