/* SPDX-License-Identifier: MIT */
/* One connection. hiredis takes answers apart; sending and waiting are done here, because a call has one
 * deadline, because it must be known whether the server got the whole of a request, and because a write to a closed
 * connection must not end the program with SIGPIPE.
 *
 * A connection on which anything went wrong is dropped: what it would still deliver belongs to a request that was given up. */
#include "store.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define READ_ROOM 65536

int64_t rd_time_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* ---- faults --------------------------------------------------------------------------------------------------- */

int rd_fault(struct link *link, int status, int failure, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    link->fault = (struct fault){ .status = status, .failure = failure };
    int used = snprintf(link->fault.text, sizeof link->fault.text, "%s: ", link->address->shown);
    if (used > 0 && (size_t)used < sizeof link->fault.text)
        vsnprintf(link->fault.text + used, sizeof link->fault.text - (size_t)used, format, args);
    va_end(args);
    return -1;
}

int rd_fault_report(const struct link *link, struct jobq_error *err)
{
    return jobq_error_set(err, link->fault.status, NULL, "%s", link->fault.text);
}

static const struct meaning {
    const char *word;
    int failure;
    bool drop; /* another connection may lead to another server */
} meanings[] = {
    { "OOM", JOBQ_FAILURE_FULL, false },
    { "MISCONF", JOBQ_FAILURE_TRANSIENT, false },
    { "READONLY", JOBQ_FAILURE_TRANSIENT, true },
    { "LOADING", JOBQ_FAILURE_TRANSIENT, false },
    { "BUSY", JOBQ_FAILURE_TRANSIENT, false },
    { "MASTERDOWN", JOBQ_FAILURE_TRANSIENT, true },
    { "CLUSTERDOWN", JOBQ_FAILURE_TRANSIENT, true },
    { "TRYAGAIN", JOBQ_FAILURE_TRANSIENT, false },
    { "NOREPLICAS", JOBQ_FAILURE_TRANSIENT, false },
    { "MOVED", JOBQ_FAILURE_REFUSED, true },
    { "NOAUTH", JOBQ_FAILURE_REFUSED, true },
    { "NOPERM", JOBQ_FAILURE_REFUSED, false },
    { "NOSCRIPT", JOBQ_FAILURE_TRANSIENT, false },
};

static bool is_word(const char *at, const char *word)
{
    size_t length = strlen(word);
    return strncmp(at, word, length) == 0 && (at[length] == ' ' || at[length] == 0);
}

/* Servers before 7.0 wrap the error of a command in the script's own. */
static const char *inner_error(const char *text)
{
    const char *inner = strstr(text, ": -");
    if (strncmp(text, "ERR Error running script", 24) == 0 && inner)
        return inner + 3;
    if (strncmp(text, "ERR Error running script", 24) == 0 && (inner = strstr(text, "@user_script:")) != NULL &&
        (inner = strstr(inner, ": ")) != NULL)
        return inner + 2;
    return text[0] == '-' ? text + 1 : text;
}

int rd_fault_answer(struct link *link, const redisReply *error)
{
    const char *text = inner_error(error->str);
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        if (!is_word(text, meanings[i].word))
            continue;
        rd_fault(link, JOBQ_FAILED, meanings[i].failure, "%.200s", text);
        if (meanings[i].drop)
            rd_link_drop(link);
        return -1;
    }
    /* A script that broke: how far it came is not known. */
    return rd_fault(link, JOBQ_UNKNOWN, JOBQ_FAILURE_REFUSED, "%.200s", text);
}

/* The connection is gone: certain as long as the server lacked a part of the request. */
static int lost(struct link *link, bool sent, const char *what)
{
    rd_link_drop(link);
    return rd_fault(link, sent ? JOBQ_UNKNOWN : JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "%s%s", what,
                    sent ? " after the request was sent" : "");
}

/* ---- waiting ---------------------------------------------------------------------------------------------------- */

void rd_link_begin(struct link *link)
{
    link->deadline_us = rd_time_us() + link->timeout_ms * 1000;
}

/* 1 ready, 0 the deadline passed, -1. */
static int wait_for(struct link *link, short events)
{
    struct pollfd p = { .fd = link->context->fd, .events = events };
    for (;;) {
        int64_t left = (link->deadline_us - rd_time_us() + 999) / 1000;
        int got = poll(&p, 1, left > 0 ? (int)(left < 3600000 ? left : 3600000) : 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0 && left > 3600000)
            continue;
        return got;
    }
}

/* ---- connecting -------------------------------------------------------------------------------------------------- */

void rd_link_drop(struct link *link)
{
    if (link->context)
        redisFree(link->context);
    link->context = NULL;
    link->unsent = false;
}

static struct timeval time_left(const struct link *link)
{
    int64_t left = link->deadline_us - rd_time_us();
    if (left <= 0)
        left = 1000;
    return (struct timeval){ .tv_sec = (time_t)(left / 1000000), .tv_usec = (suseconds_t)(left % 1000000) };
}

static int connect_now(struct link *link)
{
    const char *why;
    int fd = rd_connect(link->address, link->deadline_us, &why);
    if (fd < 0)
        return rd_fault(link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "%.120s", why);
    link->context = redisConnectFd(fd);
    if (!link->context) {
        close(fd);
        return rd_fault(link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "out of memory");
    }
    if (!link->address->tls)
        return 0;
    /* The greeting is hiredis' own, and takes its time. */
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    link->context->flags |= REDIS_BLOCK;
    if (rd_tls_start(link, time_left(link)) != 0) {
        rd_link_drop(link);
        return -1;
    }
    link->context->flags &= ~REDIS_BLOCK;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return 0;
}

/* How much of an answer to AUTH may be shown. One that has no such command repeats what it was given. */
static int harmless(const char *answer)
{
    static const char *const known[] = { "WRONGPASS ", "NOAUTH ", "NOPERM ", "LOADING ", "MASTERDOWN ", "ERR max number of",
                                         "ERR AUTH <password> called without" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(answer, known[i], strlen(known[i])) == 0)
            return 160;
    size_t word = strspn(answer, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return word < 16 && answer[word] == ' ' ? (int)word : 0;
}

/* A step of logging in. */
static int must(struct link *link, int count, const char *const *arguments, const char *what)
{
    redisReply *reply;
    if (rd_link_command(link, &reply, count, arguments) != 0) {
        if (link->fault.status == JOBQ_UNKNOWN) /* logging in has no effect */
            link->fault.status = JOBQ_FAILED;
        return -1;
    }
    int result = 0;
    if (reply->type == REDIS_REPLY_ERROR)
        result = rd_fault(link, JOBQ_FAILED, JOBQ_FAILURE_REFUSED, "%s: %.*s", what,
                          strcmp(arguments[0], "AUTH") == 0 ? harmless(reply->str) : 160, reply->str);
    freeReplyObject(reply);
    return result;
}

static int log_in(struct link *link)
{
    const struct address *a = link->address;
    if (a->password) {
        const char *const words[] = { "AUTH", a->user ? a->user : a->password, a->password };
        if (must(link, a->user ? 3 : 2, words, "AUTH is refused") != 0)
            return -1;
    }
    if (!a->db)
        return 0;
    char db[16];
    snprintf(db, sizeof db, "%d", a->db);
    const char *const words[] = { "SELECT", db };
    return must(link, 2, words, "choosing the database");
}

/* A connection that nobody asked anything must have nothing to say: else the server closed it, or it is out of step. */
static bool is_quiet(struct link *link)
{
    struct pollfd p = { .fd = link->context->fd, .events = POLLIN };
    if (poll(&p, 1, 0) == 0)
        return true;
    /* Under TLS the server may say things that are none of ours. */
    return link->address->tls && rd_tls_receive(link) == 0;
}

int rd_link_ready(struct link *link)
{
    if (link->context && !is_quiet(link))
        rd_link_drop(link);
    if (link->context)
        return 0;
    if (connect_now(link) != 0)
        return -1;
    if (log_in(link) == 0)
        return 0;
    rd_link_drop(link);
    return -1;
}

/* ---- sending ------------------------------------------------------------------------------------------------------ */

static ssize_t send_some(struct link *link, struct iovec *parts, size_t count)
{
    if (link->address->tls)
        return rd_tls_send(link, parts, count);
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };
    return sendmsg(link->context->fd, &message, MSG_NOSIGNAL);
}

static int send_all(struct link *link, struct iovec *parts, size_t count)
{
    while (count) {
        ssize_t sent = send_some(link, parts, count);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            return lost(link, false, "the connection broke while sending");
        if (sent < 0 && wait_for(link, POLLOUT) <= 0)
            return lost(link, false, "no room to send within the time limit");
        for (; sent > 0 && count; parts++, count--) {
            if ((size_t)sent < parts->iov_len) {
                parts->iov_base = (char *)parts->iov_base + sent;
                parts->iov_len -= (size_t)sent;
                break;
            }
            sent -= (ssize_t)parts->iov_len;
        }
    }
    return 0;
}

/* ---- receiving ----------------------------------------------------------------------------------------------------- */

/* What is there into the reader. 1 some, 0 nothing there, -1 broken. */
static int receive(struct link *link)
{
    char buffer[READ_ROOM];
    ssize_t got;
    if (link->address->tls)
        return rd_tls_receive(link);
    do
        got = recv(link->context->fd, buffer, sizeof buffer, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : -1;
    if (got == 0)
        return -1;
    return redisReaderFeed(link->context->reader, buffer, (size_t)got) == REDIS_OK ? 1 : -1;
}

/* 1 an answer, 0 not all of it, -1 broken (and dropped). */
static int take_answer(struct link *link, redisReply **out)
{
    void *reply = NULL;
    if (redisReaderGetReply(link->context->reader, &reply) != REDIS_OK)
        return lost(link, true, "an answer that is not of the protocol");
    *out = reply;
    return reply != NULL;
}

int rd_link_try_read(struct link *link, redisReply **out)
{
    *out = NULL;
    for (;;) {
        int took = take_answer(link, out);
        if (took != 0)
            return took < 0 ? -1 : 0;
        int got = receive(link);
        if (got < 0)
            return lost(link, true, "the connection was closed");
        if (got == 0)
            return 0;
    }
}

int rd_link_read(struct link *link, redisReply **out)
{
    for (;;) {
        if (rd_link_try_read(link, out) != 0)
            return -1;
        if (*out)
            return 0;
        int ready = wait_for(link, POLLIN);
        if (ready == 0)
            return lost(link, true, "no answer within the time limit");
        if (ready < 0)
            return lost(link, true, "the connection broke");
    }
}

int rd_link_say(struct link *link, const char *text, size_t bytes)
{
    struct iovec part = { .iov_base = (void *)(uintptr_t)text, .iov_len = bytes };
    rd_link_begin(link);
    return send_all(link, &part, 1);
}

int rd_link_ask(struct link *link, const char *front, size_t front_bytes, const struct request *request,
                redisReply **out)
{
    struct iovec parts[] = { { .iov_base = (void *)(uintptr_t)front, .iov_len = front_bytes },
                             { .iov_base = request ? request->data : NULL, .iov_len = request ? request->size : 0 } };
    if (request && request->no_memory)
        return rd_fault(link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "out of memory");
    if (send_all(link, parts, request && request->size ? 2 : 1) != 0)
        return -1;
    if (!link->address->tls) /* the answer takes its time: what would be read at once is nothing */
        (void)wait_for(link, POLLIN);
    return rd_link_read(link, out);
}

/* Small ones, in memory of the stack: a connection is made also when there is no other. */
int rd_link_command(struct link *link, redisReply **out, int count, const char *const *arguments)
{
    char text[4096];
    int used = snprintf(text, sizeof text, "*%d\r\n", count);
    for (int i = 0; i < count && (size_t)used < sizeof text; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "$%zu\r\n%s\r\n", strlen(arguments[i]), arguments[i]);
    if ((size_t)used >= sizeof text)
        return rd_fault(link, JOBQ_FAILED, JOBQ_FAILURE_REFUSED, "a user or password of more than 4,000 bytes");
    int result = rd_link_ask(link, text, (size_t)used, NULL, out);
    explicit_bzero(text, sizeof text); /* it may have held the password */
    return result;
}
