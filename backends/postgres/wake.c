/* SPDX-License-Identifier: MIT */
/* Being told: a connection of its own listens, and an epoll set around it keeps one descriptor for the life of the store
 * while connections come and go. All of it but the first connecting happens in wake_drain and does not wait, but for the
 * address of a host that has a name.
 *
 * Who listens holds a shared lock; who would tell looks for it first, because a commit that tells waits for every other
 * commit that does. */
#include "store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CHECK_S 30 /* a line that said nothing for so long is asked whether it is there */
#define RETRY_S 2
#define LOOKUP_MS 1000

enum listen_state { LISTEN_DEAD, LISTEN_CONNECTING, LISTEN_ASKING, LISTEN_QUIET, LISTEN_CHECKING };

struct listener {
    int epoll, timer;
    struct pq_link link;
    enum listen_state state;
    PostgresPollingStatusType want;
    char *text;
};

static void set_timer(const struct listener *l, int seconds)
{
    const struct itimerspec when = { .it_value.tv_sec = seconds };
    timerfd_settime(l->timer, 0, &when, NULL);
}

static void unwatch(struct listener *l)
{
    if (l->link.conn && PQsocket(l->link.conn) >= 0)
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, PQsocket(l->link.conn), NULL);
}

static void watch(struct listener *l, uint32_t events)
{
    struct epoll_event event = { .events = events };
    int fd = PQsocket(l->link.conn);
    if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &event) != 0)
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void give_up(struct listener *l)
{
    unwatch(l);
    pq_link_close(&l->link);
    l->state = LISTEN_DEAD;
    set_timer(l, RETRY_S);
}

/* ---- steps that do not wait, but for the address of a host ------------------------------------------------------------ */

static void start_connecting(struct jobq_store *s, struct listener *l)
{
    struct fault ignored;
    struct resolved resolved;
    if (pq_resolve(&s->address, pq_now_us() + LOOKUP_MS * 1000, &resolved, &ignored) != 0) {
        give_up(l);
        return;
    }
    l->link.conn = pq_start(&s->address, &resolved);
    pq_resolved_free(&resolved);
    if (!l->link.conn || PQstatus(l->link.conn) == CONNECTION_BAD) {
        give_up(l);
        return;
    }
    l->state = LISTEN_CONNECTING;
    l->want = PGRES_POLLING_WRITING;
    watch(l, EPOLLOUT);
    set_timer(l, CHECK_S);
}

static void send_text(struct listener *l, const char *text, enum listen_state next)
{
    if (!PQsendQuery(l->link.conn, text) || PQflush(l->link.conn) < 0) {
        give_up(l);
        return;
    }
    l->state = next;
    watch(l, EPOLLIN);
    set_timer(l, CHECK_S);
}

static void go_on_connecting(struct listener *l)
{
    unwatch(l); /* libpq may try another address: another socket */
    l->want = PQconnectPoll(l->link.conn);
    if (l->want == PGRES_POLLING_FAILED)
        give_up(l);
    else if (l->want != PGRES_POLLING_OK)
        watch(l, l->want == PGRES_POLLING_READING ? EPOLLIN : EPOLLOUT);
    else if (PQsetnonblocking(l->link.conn, 1) != 0)
        give_up(l);
    else
        send_text(l, l->text, LISTEN_ASKING);
}

/* Answers to what was asked. Returns 1 when listening began: what happened before is not known. */
static int take_answers(struct listener *l)
{
    int began = 0;
    while (l->state >= LISTEN_ASKING && !PQisBusy(l->link.conn)) {
        PGresult *result = PQgetResult(l->link.conn);
        if (!result) {
            began |= l->state == LISTEN_ASKING;
            if (l->state != LISTEN_QUIET)
                set_timer(l, CHECK_S);
            l->state = LISTEN_QUIET;
            break;
        }
        bool failed = PQresultStatus(result) == PGRES_FATAL_ERROR;
        PQclear(result);
        if (failed) {
            give_up(l);
            return 1;
        }
    }
    return began;
}

/* What we said ourselves is no news. */
static int take_news(struct jobq_store *s, struct listener *l)
{
    int news = 0, own = atomic_load(&s->backend_pid);
    for (PGnotify *n; l->link.conn && (n = PQnotifies(l->link.conn)) != NULL;) {
        news |= n->be_pid != own;
        PQfreemem(n);
    }
    return news;
}

static int read_socket(struct jobq_store *s, struct listener *l)
{
    if (l->state == LISTEN_CONNECTING) {
        go_on_connecting(l);
        return 0;
    }
    if (!PQconsumeInput(l->link.conn) || PQstatus(l->link.conn) == CONNECTION_BAD) {
        give_up(l);
        return 1;
    }
    int began = take_answers(l);
    return take_news(s, l) | began;
}

static void time_is_up(struct jobq_store *s, struct listener *l)
{
    if (l->state == LISTEN_DEAD)
        start_connecting(s, l);
    else if (l->state == LISTEN_QUIET)
        send_text(l, "SELECT 1", LISTEN_CHECKING);
    else
        give_up(l);
}

/* ---- the first time ---------------------------------------------------------------------------------------------------- */

static int listen_now(struct jobq_store *s, struct listener *l)
{
    struct fault fault = { 0 };
    l->link.deadline_us = pq_now_us() + s->io_timeout_ms * 1000;
    PGresult *result =
        pq_link_connect(&l->link, &s->address, &fault) == 0 ? pq_link_query(&l->link, l->text, &fault) : NULL;
    if (!result)
        return -1;
    PQclear(result);
    l->state = LISTEN_QUIET;
    watch(l, EPOLLIN);
    set_timer(l, CHECK_S);
    return 0;
}

static void free_listener(struct listener *l)
{
    if (!l)
        return;
    if (l->epoll >= 0)
        close(l->epoll);
    if (l->timer >= 0)
        close(l->timer);
    free(l->text);
    free(l);
}

static struct listener *make_listener(struct jobq_store *s)
{
    struct listener *l = calloc(1, sizeof *l);
    struct epoll_event event = { .events = EPOLLIN };
    if (!l)
        return NULL;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    l->text = pq_text(s, "LISTEN \"@CHANNEL\";", "SELECT pg_catalog.pg_advisory_lock_shared(@LOCK + 3)", "");
    if (l->epoll < 0 || l->timer < 0 || !l->text || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &event) != 0) {
        free_listener(l);
        return NULL;
    }
    if (listen_now(s, l) != 0)
        give_up(l);
    return l;
}

int pq_wake_fd_of(struct jobq_store *s)
{
    if (!s->address.listen || s->pooled || s->inspect || s->attached)
        return -1;
    pthread_mutex_lock(&s->listen_lock);
    if (!s->listener)
        s->listener = make_listener(s);
    int fd = s->listener ? s->listener->epoll : -1;
    pthread_mutex_unlock(&s->listen_lock);
    return fd;
}

int pq_wake_drain_of(struct jobq_store *s)
{
    uint64_t times;
    int news = 0;
    pthread_mutex_lock(&s->listen_lock);
    struct listener *l = s->listener;
    if (l && read(l->timer, &times, sizeof times) == (ssize_t)sizeof times)
        time_is_up(s, l);
    if (l && l->state != LISTEN_DEAD)
        news = read_socket(s, l);
    pthread_mutex_unlock(&s->listen_lock);
    return news;
}

void pq_wake_close(struct jobq_store *s, bool forked)
{
    struct listener *l = s->listener;
    if (l && forked)
        pq_link_forget(&l->link);
    else if (l)
        pq_link_close(&l->link);
    free_listener(l);
    s->listener = NULL;
}

void pq_wake_others(struct jobq_store *s)
{
    struct transaction t = { .count = 1, .ms = 5000, .calls = { { .text = s->sql[SQL_WAKE] } } };
    struct fault fault = { 0 };
    pq_store_begin(s);
    if (s->attached) {
        if (PQtransactionStatus(s->link.conn) == PQTRANS_IDLE && PQpipelineStatus(s->link.conn) == PQ_PIPELINE_OFF)
            PQclear(PQexec(s->link.conn, s->sql[SQL_WAKE]));
        return;
    }
    if (!s->inspect && s->address.notify && pq_store_connect(s, &fault) == 0)
        pq_link_run(&s->link, &t, 1);
    pq_transaction_clear(&t);
}
