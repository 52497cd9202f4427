/* SPDX-License-Identifier: MIT */
/* The workers of one handle live in one process and die together. So they know of each other: how many jobs they hold
 * between them, and who of them wants the process to itself for a job that must run alone. */
#include "worker.h"

void crew_init(struct crew *c)
{
    *c = (struct crew){ .first = NULL };
    pthread_mutex_init(&c->lock, NULL);
}

void crew_free(struct crew *c)
{
    pthread_mutex_destroy(&c->lock);
}

static size_t others_hold(const struct crew *c, const struct jobq_worker *w)
{
    return c->held - w->held - w->asked;
}

/* The window goes round, so that a worker of other queues comes to ask for a job of those. Lock held. */
static void pass_turn(struct crew *c, int64_t now)
{
    c->turn = c->turn && c->turn->crew_next ? c->turn->crew_next : c->first;
    c->window_ms = now;
}

static int64_t opens_at(const struct crew *c)
{
    return jobq_add_ms(c->window_ms, c->turn->lease_ms);
}

static int64_t closes_at(const struct crew *c)
{
    return jobq_add_ms(c->window_ms, c->turn->lease_ms + c->turn->lease_ms / 10);
}

static bool is_open(const struct crew *c, const struct jobq_worker *w, int64_t now)
{
    return c->turn == w && w->phase == PHASE_WORKING && now >= opens_at(c) && now < closes_at(c);
}

static void ring_others(const struct crew *c, const struct jobq_worker *w)
{
    for (const struct jobq_worker *other = c->first; other; other = other->crew_next)
        if (other != w)
            waker_ring(&other->waker);
}

static void end_quiet(struct crew *c, const struct jobq_worker *w)
{
    if (c->quiet != w)
        return;
    c->quiet = NULL;
    ring_others(c, w);
}

/* ---- members ------------------------------------------------------------------------------------------ */

void crew_join(struct jobq_worker *w, int64_t now)
{
    struct crew *c = &w->q->crew;

    pthread_mutex_lock(&c->lock);
    w->crew_next = c->first;
    c->first = w;
    c->capacity += w->capacity;
    if (!c->turn) {
        c->turn = w;
        c->window_ms = now;
    }
    pthread_mutex_unlock(&c->lock);
}

void crew_leave(struct jobq_worker *w, int64_t now)
{
    struct crew *c = &w->q->crew;

    pthread_mutex_lock(&c->lock);
    end_quiet(c, w);
    if (c->turn == w)
        pass_turn(c, now);
    for (struct jobq_worker **at = &c->first; *at; at = &(*at)->crew_next)
        if (*at == w) {
            *at = w->crew_next;
            break;
        }
    if (c->turn == w) /* it was the last one */
        c->turn = c->first;
    c->capacity -= w->capacity;
    pthread_mutex_unlock(&c->lock);
}

/* ---- what is held -------------------------------------------------------------------------------------- */

void crew_took(struct jobq_worker *w, size_t count)
{
    struct crew *c = &w->q->crew;

    pthread_mutex_lock(&c->lock);
    w->held += count;
    c->held += count;
    pthread_mutex_unlock(&c->lock);
}

void crew_dropped(struct jobq_worker *w, size_t count)
{
    struct crew *c = &w->q->crew;

    pthread_mutex_lock(&c->lock);
    w->held -= count;
    c->held -= count;
    if (c->quiet && c->quiet != w && c->held == 0) /* that is what it waits for */
        waker_ring(&c->quiet->waker);
    pthread_mutex_unlock(&c->lock);
}

bool crew_asks(struct jobq_worker *w, int mode, size_t limit, size_t handing, size_t *others)
{
    struct crew *c = &w->q->crew;
    bool may;

    pthread_mutex_lock(&c->lock);
    *others = c->held - handing;
    may = (!c->quiet || c->quiet == w) && (mode != JOBQ_WANT_ALONE || *others == 0);
    /* A row claimed as the only one may get company while it runs, and must not die for that neighbour's deed; so a row
     * counts as alone only if nothing can be started beside it. */
    if (mode != JOBQ_WANT_ALONE && c->capacity > 1)
        ++*others;
    if (may && mode == JOBQ_WANT_ALONE)
        c->quiet = w;
    if (may) {
        w->asked = limit;
        c->held += limit;
    }
    pthread_mutex_unlock(&c->lock);
    return may;
}

void crew_answered(struct jobq_worker *w)
{
    struct crew *c = &w->q->crew;

    pthread_mutex_lock(&c->lock);
    c->held -= w->asked;
    w->asked = 0;
    pthread_mutex_unlock(&c->lock);
}

size_t crew_others(const struct jobq_worker *w)
{
    struct crew *c = &w->q->crew;
    size_t others;

    pthread_mutex_lock(&c->lock);
    others = others_hold(c, w);
    pthread_mutex_unlock(&c->lock);
    return others;
}

size_t crew_held(struct jobq *q)
{
    size_t held;

    pthread_mutex_lock(&q->crew.lock);
    held = q->crew.held;
    pthread_mutex_unlock(&q->crew.lock);
    return held;
}

/* ---- who has the process to himself --------------------------------------------------------------------- */

bool crew_hushed(const struct jobq_worker *w)
{
    struct crew *c = &w->q->crew;
    bool hushed;

    pthread_mutex_lock(&c->lock);
    hushed = c->quiet && c->quiet != w;
    pthread_mutex_unlock(&c->lock);
    return hushed;
}

void crew_asked_alone(struct jobq_worker *w, int64_t now)
{
    struct crew *c = &w->q->crew;

    pthread_mutex_lock(&c->lock);
    if (c->turn == w)
        pass_turn(c, now);
    pthread_mutex_unlock(&c->lock);
}

/* What hangs for ever, or is somebody else's by now, keeps nobody from work. */
static bool runs_alone(const struct jobq_worker *w)
{
    return w->alone && !w->alone->lost && w->phase != PHASE_LATE;
}

void crew_settle(struct jobq_worker *w, int64_t now)
{
    struct crew *c = &w->q->crew;

    pthread_mutex_lock(&c->lock);
    if (c->turn == w && now >= closes_at(c)) /* nothing came of it: try again a lease later */
        pass_turn(c, now);
    if (!c->quiet && is_open(c, w, now))
        c->quiet = w;
    if (c->quiet == w && !runs_alone(w) && !w->asked && !is_open(c, w, now))
        end_quiet(c, w);
    pthread_mutex_unlock(&c->lock);
}

bool crew_window(const struct jobq_worker *w, int64_t now)
{
    struct crew *c = &w->q->crew;
    bool open;

    pthread_mutex_lock(&c->lock);
    open = is_open(c, w, now);
    pthread_mutex_unlock(&c->lock);
    return open;
}

int64_t crew_window_end(const struct jobq_worker *w)
{
    struct crew *c = &w->q->crew;
    int64_t at;

    pthread_mutex_lock(&c->lock);
    at = c->turn == w ? closes_at(c) : NEVER;
    pthread_mutex_unlock(&c->lock);
    return at;
}

int64_t crew_wakes_at(const struct jobq_worker *w, int64_t now)
{
    struct crew *c = &w->q->crew;
    int64_t at = NEVER;

    pthread_mutex_lock(&c->lock);
    bool company = c->first && c->first->crew_next;
    if (company && c->turn == w && w->phase == PHASE_WORKING)
        at = now < opens_at(c) ? opens_at(c) : closes_at(c);
    pthread_mutex_unlock(&c->lock);
    return at;
}

bool crew_is_silent(const struct jobq_worker *w, int64_t now)
{
    struct crew *c = &w->q->crew;
    bool silent;

    pthread_mutex_lock(&c->lock);
    silent = c->first && c->first->crew_next && c->held == 0 && is_open(c, w, now);
    pthread_mutex_unlock(&c->lock);
    return silent;
}
