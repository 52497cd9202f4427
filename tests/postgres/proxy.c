/* SPDX-License-Identifier: MIT */
/* A thread that forwards bytes between a socket of its own and the server's. */
#include "kit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINES 32

struct proxy {
    pthread_t thread;
    int listener;
    char folder[32], server[108], uri[600];
    int client_fd[LINES], server_fd[LINES];
    int count;
    atomic_bool stop, hold;
    bool asking; /* the last thing went to the server */
    _Atomic int64_t turns, rounds;
    _Atomic int64_t bytes[2], cut[2]; /* 0 from the server, 1 to it; cut: so many are left, negative: no end */
};

static int connect_to(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        abort();
    return fd;
}

static void accept_line(struct proxy *p)
{
    int fd = accept(p->listener, NULL, NULL);
    if (fd < 0 || p->count == LINES)
        abort();
    p->client_fd[p->count] = fd;
    p->server_fd[p->count++] = connect_to(p->server);
}

static void close_line(struct proxy *p, int line)
{
    close(p->client_fd[line]);
    close(p->server_fd[line]);
    p->count--;
    p->client_fd[line] = p->client_fd[p->count];
    p->server_fd[line] = p->server_fd[p->count];
}

/* Move what there is; false: the line is over. */
static bool move(struct proxy *p, int from, int to, int way)
{
    char data[4096];
    int64_t left = atomic_load(&p->cut[way]);
    ssize_t got = read(from, data, left >= 0 && left < (int64_t)sizeof data ? (size_t)left : sizeof data);
    if (got <= 0)
        return false;
    for (ssize_t sent = 0; sent < got;) {
        ssize_t n = send(to, data + sent, (size_t)(got - sent), MSG_NOSIGNAL);
        if (n < 0)
            return false;
        sent += n;
    }
    atomic_fetch_add(&p->bytes[way], got);
    if (way == 1 && !p->asking)
        atomic_fetch_add(&p->rounds, 1);
    p->asking = way == 1;
    if (left < 0)
        return true;
    atomic_store(&p->cut[way], left - got);
    return left > got;
}

static void *forward(void *user)
{
    struct proxy *p = user;
    for (; !atomic_load(&p->stop); atomic_fetch_add(&p->turns, 1)) {
        struct pollfd fds[1 + 2 * LINES] = { { .fd = p->listener, .events = POLLIN } };
        int count = p->count;
        for (int i = 0; i < count; i++) {
            fds[1 + 2 * i] = (struct pollfd){ .fd = p->client_fd[i], .events = POLLIN };
            fds[2 + 2 * i] = (struct pollfd){ .fd = p->server_fd[i], .events = POLLIN };
        }
        if (atomic_load(&p->hold)) {
            usleep(2000);
            continue;
        }
        if (poll(fds, (nfds_t)(1 + 2 * count), 5) <= 0)
            continue;
        if (fds[0].revents)
            accept_line(p);
        for (int i = count - 1; i >= 0; i--)
            if ((fds[1 + 2 * i].revents && !move(p, fds[1 + 2 * i].fd, fds[2 + 2 * i].fd, 1)) ||
                (fds[2 + 2 * i].revents && !move(p, fds[2 + 2 * i].fd, fds[1 + 2 * i].fd, 0)))
                close_line(p, i);
    }
    return NULL;
}

struct proxy *proxy_start(void)
{
    struct proxy *p = calloc(1, sizeof *p);
    const char *address = getenv("JOBQ_TEST_POSTGRES"), *host = strstr(address, "host="), *user = strstr(address, "user=");
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    ck_assert(p && host && user);
    snprintf(p->server, sizeof p->server, "%.*s/.s.PGSQL.5432", (int)strcspn(host + 5, "&"), host + 5);
    strcpy(p->folder, "/tmp/jqp.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(p->folder));
    snprintf(at.sun_path, sizeof at.sun_path, "%s/.s.PGSQL.5432", p->folder);
    snprintf(p->uri, sizeof p->uri, "postgres:///postgres?host=%s&%.*s&namespace=%s", p->folder,
             (int)strcspn(user, "&"), user, name_space());
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(p->listener, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(p->listener, 16), 0);
    atomic_store(&p->cut[0], -1);
    atomic_store(&p->cut[1], -1);
    ck_assert_int_eq(pthread_create(&p->thread, NULL, forward, p), 0);
    return p;
}

const char *proxy_uri(const struct proxy *p)
{
    return p->uri;
}

void proxy_cut(struct proxy *p, bool to_server, int64_t after_bytes)
{
    atomic_store(&p->cut[to_server], after_bytes);
}

void proxy_hold(struct proxy *p, bool hold)
{
    atomic_store(&p->hold, hold);
}

int64_t proxy_bytes(const struct proxy *p, bool to_server)
{
    return atomic_load(&p->bytes[to_server]);
}

int64_t proxy_rounds(const struct proxy *p)
{
    return atomic_load(&p->rounds);
}

void proxy_settle(struct proxy *p)
{
    int64_t turns = atomic_load(&p->turns);
    while (atomic_load(&p->turns) < turns + 2)
        usleep(200);
}

void proxy_stop(struct proxy *p)
{
    char file[80];
    atomic_store(&p->stop, true);
    pthread_join(p->thread, NULL);
    while (p->count)
        close_line(p, 0);
    close(p->listener);
    snprintf(file, sizeof file, "%s/.s.PGSQL.5432", p->folder);
    unlink(file);
    rmdir(p->folder);
    free(p);
}
