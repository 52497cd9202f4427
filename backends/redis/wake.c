/* SPDX-License-Identifier: MIT */
/* Being woken: a second connection that subscribes to the namespace's channel, on which scripts say that something became
 * due and whose doing it was.
 *
 * The descriptor handed out must stay the same while connections come and go, so it is an epoll set: of the connection, and
 * of a timer that asks the server now and then whether it is still there (a connection may die without a word) and, while
 * there is none, tries again. Everything here belongs to the one thread that waits. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define ALIVE_MS 30000
#define AGAIN_FIRST_MS 100
#define AGAIN_MOST_MS 5000
#define CONNECT_MS 2000

static void set_timer(const struct wake *w, int64_t ms)
{
    struct itimerspec when = { .it_value = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 } };
    timerfd_settime(w->timer, 0, &when, NULL);
}

static int watch(const struct wake *w, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .fd = fd } };
    return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Until the server has confirmed it. */
static int subscribe(const struct jobq_store *s, struct wake *w)
{
    char channel[80];
    redisReply *reply;
    snprintf(channel, sizeof channel, "{%s}:wake", s->address.name_space);
    const char *const words[] = { "SUBSCRIBE", channel };
    if (rd_link_command(&w->link, &reply, 2, words) != 0)
        return -1;
    int result = reply->type == REDIS_REPLY_ARRAY ? 0 : -1;
    freeReplyObject(reply);
    return result;
}

static void connect_wake(struct jobq_store *s)
{
    struct wake *w = &s->wake;
    rd_link_drop(&w->link); /* epoll forgets a descriptor that is closed */
    rd_link_begin(&w->link);
    w->asked = false;
    if (rd_link_ready(&w->link) == 0 && subscribe(s, w) == 0 && watch(w, w->link.context->fd) == 0) {
        w->again_ms = AGAIN_FIRST_MS;
        set_timer(w, ALIVE_MS);
        return;
    }
    rd_link_drop(&w->link);
    set_timer(w, w->again_ms);
    w->again_ms = 2 * w->again_ms < AGAIN_MOST_MS ? 2 * w->again_ms : AGAIN_MOST_MS;
}

static int make_wake(struct jobq_store *s)
{
    struct wake *w = &s->wake;
    w->link.address = &s->address;
    w->link.timeout_ms = s->link.timeout_ms < CONNECT_MS ? s->link.timeout_ms : CONNECT_MS;
    w->again_ms = AGAIN_FIRST_MS;
    w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    w->epoll = w->timer < 0 ? -1 : epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll >= 0 && watch(w, w->timer) == 0)
        return 0;
    rd_wake_close(s);
    return -1;
}

/* Made when it is asked for: who only enqueues needs no second connection. */
int rd_wake_fd(struct jobq_store *s)
{
    if (s->wake.epoll < 0 && make_wake(s) == 0)
        connect_wake(s);
    return s->wake.epoll;
}

void rd_wake_close(struct jobq_store *s)
{
    struct wake *w = &s->wake;
    rd_link_drop(&w->link);
    if (w->epoll >= 0)
        close(w->epoll);
    if (w->timer >= 0)
        close(w->timer);
    w->epoll = w->timer = -1;
}

static bool is_by_another(const struct jobq_store *s, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 || strcmp(reply->element[0]->str, "message") != 0)
        return false;
    const redisReply *who = reply->element[2];
    return strcmp(who->str, s->handle) != 0;
}

/* 1 somebody called, 0 nobody, -1 the connection is gone. */
static int read_messages(struct jobq_store *s)
{
    struct wake *w = &s->wake;
    int woken = 0;
    redisReply *reply;
    while (rd_link_try_read(&w->link, &reply) == 0) {
        if (!reply)
            return woken;
        w->asked = false;
        woken |= is_by_another(s, reply);
        freeReplyObject(reply);
    }
    return -1;
}

/* The timer: is the server still there? */
static int ask_if_alive(struct wake *w)
{
    static const char ping[] = "*1\r\n$4\r\nPING\r\n";
    if (w->asked)
        return -1;
    w->asked = true;
    set_timer(w, ALIVE_MS);
    return rd_link_say(&w->link, ping, sizeof ping - 1);
}

int rd_wake_drain(struct jobq_store *s)
{
    struct wake *w = &s->wake;
    uint64_t rings = 0;
    if (w->epoll < 0)
        return 0;
    bool rang = read(w->timer, &rings, sizeof rings) == (ssize_t)sizeof rings;
    int woken = w->link.context ? read_messages(s) : rang ? -1 : 0;
    if (woken >= 0 && rang && w->link.context && ask_if_alive(w) != 0)
        woken = -1;
    if (woken >= 0)
        return woken;
    /* What was said in between is lost: so somebody may have called. */
    connect_wake(s);
    return w->link.context != NULL;
}

void rd_wake_others(struct jobq_store *s)
{
    char channel[80];
    redisReply *reply;
    snprintf(channel, sizeof channel, "{%s}:wake", s->address.name_space);
    const char *const words[] = { "PUBLISH", channel, s->handle };
    rd_link_begin(&s->link);
    if (rd_link_ready(&s->link) == 0 && rd_link_command(&s->link, &reply, 3, words) == 0)
        freeReplyObject(reply);
}
