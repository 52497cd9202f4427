/* SPDX-License-Identifier: MIT */
#include "lookup.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Of the one who asks and of the thread; who leaves last frees it. */
struct question {
    atomic_int holders;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done;
    int result;
    struct lookup found;
    char host[];
};

static int ask(const char *host, int flags, struct lookup *out)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *all = NULL;
    int result = getaddrinfo(host, NULL, &hints, &all);
    out->count = 0;
    for (const struct addrinfo *a = result == 0 ? all : NULL; a && out->count < LOOKUP_MOST; a = a->ai_next)
        if (getnameinfo(a->ai_addr, a->ai_addrlen, out->addresses[out->count], LOOKUP_ROOM, NULL, 0,
                        NI_NUMERICHOST) == 0)
            out->count++;
    if (result == 0)
        freeaddrinfo(all);
    return result == 0 && out->count == 0 ? EAI_NONAME : result;
}

static void leave(struct question *q)
{
    if (atomic_fetch_sub(&q->holders, 1) > 1)
        return;
    pthread_cond_destroy(&q->answered);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static void *look(void *question)
{
    struct question *q = question;
    struct lookup found;
    int result = ask(q->host, 0, &found);
    pthread_mutex_lock(&q->lock);
    q->found = found;
    q->result = result;
    q->done = true;
    pthread_cond_signal(&q->answered);
    pthread_mutex_unlock(&q->lock);
    leave(q);
    return NULL;
}

static struct question *make_question(const char *host)
{
    struct question *q = calloc(1, sizeof *q + strlen(host) + 1);
    pthread_condattr_t attributes;
    if (!q)
        return NULL;
    strcpy(q->host, host);
    atomic_init(&q->holders, 2);
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&q->answered, &attributes);
    pthread_condattr_destroy(&attributes);
    return q;
}

/* The program's signals are not for this thread. */
static int start(struct question *q)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, look, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        leave(q); /* for the thread that is none */
        return -1;
    }
    pthread_detach(thread);
    return 0;
}

static struct timespec in_ms(int64_t ms)
{
    struct timespec when;
    clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += (time_t)(ms / 1000);
    when.tv_nsec += (long)(ms % 1000) * 1000000;
    if (when.tv_nsec >= 1000000000) {
        when.tv_sec++;
        when.tv_nsec -= 1000000000;
    }
    return when;
}

/* 0 answered, -1 the time is over. */
static int wait_for(struct question *q, int64_t ms, struct lookup *out, int *result)
{
    const struct timespec until = in_ms(ms > 0 ? ms : 0);
    int waited = 0;
    pthread_mutex_lock(&q->lock);
    while (!q->done && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&q->answered, &q->lock, &until);
    bool done = q->done;
    *out = q->found;
    *result = q->result;
    pthread_mutex_unlock(&q->lock);
    return done ? 0 : -1;
}

int jobq_lookup(const char *host, int64_t ms, struct lookup *out)
{
    int result = ask(host, AI_NUMERICHOST, out);
    out->why = result ? gai_strerror(result) : NULL;
    if (result != EAI_NONAME) /* an address, or nobody could say whether it is one */
        return result ? -1 : 0;
    struct question *q = make_question(host);
    out->why = "no memory or no thread to look for its address";
    if (!q)
        return -1;
    if (start(q) == 0) {
        bool answered = wait_for(q, ms, out, &result) == 0;
        out->why = !answered ? "its address was not found in time" : result ? gai_strerror(result) : NULL;
    }
    leave(q);
    return out->why ? -1 : 0;
}
