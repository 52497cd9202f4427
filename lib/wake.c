/* SPDX-License-Identifier: MIT */
/* The one descriptor that a loop waits for: an epoll set of a bell of our own and the store's wake-up. The
 * only file of the worker that knows the operating system's way of waiting. */
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

int waker_open(struct waker *waker, int store_fd)
{
    *waker = (struct waker){ -1, -1, store_fd };
    waker->epoll = epoll_create1(EPOLL_CLOEXEC);
    waker->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (waker->epoll < 0 || waker->event < 0 || watch(waker, waker->event, WAKE_RUNG) != 0 ||
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
    *waker = (struct waker){ -1, -1, -1 };
}

void waker_ring(const struct waker *waker)
{
    uint64_t one = 1;
    int error = errno;

    /* The only failure is a full counter, and then it is readable anyway. */
    while (write(waker->event, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = error;
}

int waker_look(const struct waker *waker)
{
    struct epoll_event events[2];
    int up = 0, count = epoll_wait(waker->epoll, events, 2, 0);
    uint64_t rings;

    for (int i = 0; i < count; i++)
        up |= (int)events[i].data.u32;
    if (up & WAKE_RUNG)
        while (read(waker->event, &rings, sizeof rings) < 0 && errno == EINTR)
            ;
    return up;
}

void waker_wait(const struct waker *waker, int64_t ms)
{
    struct pollfd fd = { .fd = waker->epoll, .events = POLLIN };

    (void)poll(&fd, 1, ms > 3600000 ? 3600000 : (int)ms);
}
