/* SPDX-License-Identifier: MIT */
/* The one descriptor that a loop waits for: an epoll set of a bell of our own and the store's wake-up; and how a thread
 * of the pool waits for the wake-up in its place. The only file of the worker that knows the operating system's way of
 * waiting. */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int watch(const struct waker *waker, int fd, uint32_t source)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .u32 = source } };

    return epoll_ctl(waker->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void ring(int fd)
{
    uint64_t one = 1;
    int error = errno;

    /* The only failure is a full counter, and then it is readable anyway. */
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = error;
}

static void make_quiet(int fd)
{
    uint64_t rings;

    while (read(fd, &rings, sizeof rings) < 0 && errno == EINTR)
        ;
}

int waker_open(struct waker *waker, int store_fd)
{
    *waker = (struct waker){ .epoll = -1, .event = -1, .store = store_fd, .call = -1 };
    waker->epoll = epoll_create1(EPOLL_CLOEXEC);
    waker->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    waker->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (waker->epoll < 0 || waker->event < 0 || waker->call < 0 || watch(waker, waker->event, WAKE_RUNG) != 0 ||
        (store_fd >= 0 && watch(waker, store_fd, WAKE_STORE) != 0)) {
        int error = errno;
        waker_close(waker);
        errno = error;
        return -1;
    }
    return 0;
}

void waker_close(struct waker *waker)
{
    if (waker->epoll >= 0)
        close(waker->epoll);
    if (waker->event >= 0)
        close(waker->event);
    if (waker->call >= 0)
        close(waker->call);
    *waker = (struct waker){ .epoll = -1, .event = -1, .store = -1, .call = -1 };
}

void waker_ring(const struct waker *waker)
{
    ring(waker->event);
}

int waker_look(const struct waker *waker)
{
    struct epoll_event events[2];
    int up = 0, count = epoll_wait(waker->epoll, events, 2, 0);

    for (int i = 0; i < count; i++)
        up |= (int)events[i].data.u32;
    if (up & WAKE_RUNG)
        make_quiet(waker->event);
    return up;
}

void waker_wait(const struct waker *waker, int64_t ms)
{
    struct pollfd fd = { .fd = waker->epoll, .events = POLLIN };

    (void)poll(&fd, 1, ms > 3600000 ? 3600000 : (int)ms);
}

bool waker_watch(const struct waker *waker)
{
    struct pollfd fds[] = { { .fd = waker->store, .events = POLLIN }, { .fd = waker->call, .events = POLLIN } };

    if (waker->store >= 0) /* a set without its events would wake the loop all the same, to look in vain */
        (void)epoll_ctl(waker->epoll, EPOLL_CTL_DEL, waker->store, NULL);
    (void)poll(fds, 2, -1);
    make_quiet(waker->call);
    return fds[0].revents != 0;
}

/* What has come is still up. Without memory the loop hears nothing until the next one has watched; it asks now and then
 * as it is. */
void waker_watched(const struct waker *waker)
{
    if (waker->store >= 0)
        (void)watch(waker, waker->store, WAKE_STORE);
}

void waker_call(const struct waker *waker)
{
    ring(waker->call);
}
