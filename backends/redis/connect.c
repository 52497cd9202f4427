/* SPDX-License-Identifier: MIT */
/* A descriptor that is connected, by a deadline. hiredis could make one too, but some versions end the program when there is no
 * memory for that. */
#include "store.h"

#include "../lookup/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* 0 when what was begun has succeeded, else -1 and errno. */
static int wait_until_open(int fd, int64_t deadline_us)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    int ready, error = ETIMEDOUT;
    socklen_t size = sizeof error;
    do {
        int64_t left = (deadline_us - rd_time_us() + 999) / 1000;
        ready = poll(&p, 1, left > 0 ? (int)(left < 3600000 ? left : 3600000) : 0);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0 || (ready > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0))
        return -1;
    errno = error;
    return error ? -1 : 0;
}

static int connect_to(const struct sockaddr *to, socklen_t size, int64_t deadline_us)
{
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, to, size) == 0 || (errno == EINPROGRESS && wait_until_open(fd, deadline_us) == 0))
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int connect_socket(const char *path, int64_t deadline_us)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof to.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path));
    return connect_to((const struct sockaddr *)&to, sizeof to, deadline_us);
}

/* Requests are small and wait for their answers. Who is gone without a word is noticed some time. */
static void set_up(int fd)
{
    static const int on = 1, seconds = 15;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){ seconds / 3 }, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){ 3 }, sizeof(int));
}

/* An address as text, with the number of its interface; nobody is asked. */
static int connect_address(const char *address, int port, int64_t deadline_us)
{
    const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    struct addrinfo *to;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    int status = getaddrinfo(address, service, &hints, &to);
    if (status != 0) {
        errno = status == EAI_MEMORY ? ENOMEM : EADDRNOTAVAIL;
        return -1;
    }
    int fd = connect_to(to->ai_addr, to->ai_addrlen, deadline_us);
    int error = errno;
    freeaddrinfo(to);
    if (fd >= 0)
        set_up(fd);
    errno = error;
    return fd;
}

/* To the first of the host's addresses that answers. */
static int connect_host(const struct address *a, int64_t deadline_us, const char **why)
{
    struct lookup found;
    int fd = -1;
    if (jobq_lookup(a->host, (deadline_us - rd_time_us()) / 1000, &found) != 0) {
        *why = found.why;
        return -1;
    }
    for (int i = 0; i < found.count && fd < 0; i++)
        fd = connect_address(found.addresses[i], a->port, deadline_us);
    return fd;
}

int rd_connect(const struct address *a, int64_t deadline_us, const char **why)
{
    *why = NULL;
    int fd = a->socket ? connect_socket(a->socket, deadline_us) : connect_host(a, deadline_us, why);
    if (fd < 0 && !*why)
        *why = strerror(errno);
    return fd;
}
