/* SPDX-License-Identifier: MIT */
/* Concurrent callers share one exchange. Whoever finds a lane to the store free leads: it takes the calls that wait, runs one
 * exchange for all of them and lets their callers go. No thread of our own. */
#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* What a caller that waits is told: to look again, or that nobody else touches its call any more. */
enum bell { BELL_QUIET, BELL_LOOK, BELL_DONE };

#define LET_GO_NS 2000 /* what it takes to wake one, about */

/* ---- calls --------------------------------------------------------------------------------------------------- */

struct call *call_create(void)
{
    struct call *call = calloc(1, sizeof *call);
    pthread_condattr_t attr;

    if (!call)
        return NULL;
    call->arena = jobq_arena_create();
    if (!call->arena) {
        free(call);
        return NULL;
    }
    call->refs = 1;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&call->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&call->own, NULL);
    return call;
}

void call_unref(struct call *call)
{
    if (!call || __atomic_sub_fetch(&call->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (call->shared && __atomic_sub_fetch(&call->shared->refs, 1, __ATOMIC_ACQ_REL) == 0)
        jobq_arena_destroy(call->shared->arena);
    pthread_cond_destroy(&call->wake);
    pthread_mutex_destroy(&call->own);
    jobq_arena_destroy(call->arena);
    free(call);
}

static size_t log_bytes(const struct jobq_change *c)
{
    size_t bytes = 0;

    for (size_t i = 0; c->set & JOBQ_ADD_LOG && i < c->log_count; i++)
        bytes += c->log[i].size;
    return bytes;
}

static size_t change_bytes(const struct jobq_change *c)
{
    return log_bytes(c) + c->result.size + c->progress.size + c->data.size + c->payload.size + c->error.size;
}

static size_t call_bytes(const struct call *call)
{
    size_t bytes = 0;

    for (size_t i = 0; i < call->change_count; i++)
        bytes += change_bytes(&call->changes[i]);
    for (size_t i = 0; i < call->put_count; i++)
        bytes += put_bytes(&call->puts[i]);
    return bytes;
}

/* ---- waking ------------------------------------------------------------------------------------------------------------------- */

/* Who waits does so at a lock of its own: many that are let go at once would all wait again for the handle's. */
static void ring(struct call *call, int what)
{
    pthread_mutex_lock(&call->own);
    call->bell = what;
    pthread_mutex_unlock(&call->own);
    pthread_cond_signal(&call->wake);
}

void call_look(struct call *call)
{
    ring(call, BELL_LOOK);
}

/* Returns what was heard; BELL_QUIET: the time is over (NULL: it never is). */
static int listen_for(struct call *call, const struct timespec *until)
{
    int heard;

    pthread_mutex_lock(&call->own);
    while (call->bell == BELL_QUIET && (until ? pthread_cond_timedwait(&call->wake, &call->own, until) != ETIMEDOUT
                                              : pthread_cond_wait(&call->wake, &call->own) == 0))
        ;
    heard = call->bell;
    call->bell = BELL_QUIET;
    pthread_mutex_unlock(&call->own);
    return heard;
}

/* Let the callers go. Without the lock. */
static void batch_ring(struct batch *b)
{
    for (struct call *call = b->first, *next; call; call = next) {
        next = call->next;
        call->next = NULL;
        ring(call, BELL_DONE);
        call_unref(call);
    }
}

/* Somebody is to lead those that wait, if there is a lane for them. Lock held. */
static void wake_leader(struct jobq *q)
{
    if (q->first && lane_free(q))
        call_look(q->first);
}

static int64_t monotonic_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Callers are let go before the lane is: with what they say next the next exchange is larger, which is worth more than that
 * it begins at once. Not if the store does it all while one is let go. Lock held on entry and return. */
static void let_go(struct lane *lane, struct batch *b, int64_t took_ns)
{
    struct jobq *q = lane->q;
    bool brief = took_ns < (int64_t)b->calls * LET_GO_NS;

    if (brief)
        lane_leave(lane);
    pthread_mutex_unlock(&q->lock);
    batch_ring(b);
    pthread_mutex_lock(&q->lock);
    if (!brief)
        lane_leave(lane);
}

/* Lead one exchange. Lock held on entry and return. */
static void lead(struct lane *lane)
{
    struct jobq *q = lane->q;
    struct batch b = { .calls = 0 };
    int64_t began_ns;

    lane->busy = true;
    batch_take(q, &b);
    wake_leader(q);
    pthread_mutex_unlock(&q->lock);
    began_ns = monotonic_ns();
    batch_room(&b);
    if (b.arena) {
        batch_run(lane, &b);
    } else {
        b.x.unit = jobq_error_set(&b.error, JOBQ_FAILED, NULL, "out of memory for an exchange");
        batch_answer(&b);
    }
    pthread_mutex_lock(&q->lock);
    bool poke = batch_made_work(&b);
    if (poke)
        handle_poke(q);
    q->sent -= b.calls;
    q->answers = b.x.unit == JOBQ_OK;
    batch_finish(&b, poke);
    let_go(lane, &b, monotonic_ns() - began_ns);
}

/* ---- joining ------------------------------------------------------------------------------------------------------------------ */

static void enqueue_call(struct jobq *q, struct call *call)
{
    call->next = NULL;
    call->stage = STAGE_QUEUED;
    call->bell = BELL_QUIET;
    if (q->last)
        q->last->next = call;
    else
        q->first = call;
    q->last = call;
    q->waiting++;
}

static void unlink_call(struct jobq *q, struct call *call)
{
    struct call *before = NULL;

    for (struct call *at = q->first; at != call; at = at->next)
        before = at;
    if (before)
        before->next = call->next;
    else
        q->first = call->next;
    if (q->last == call)
        q->last = before;
    q->waiting--;
}

/* What its caller waits for comes in any case, and soon. Lock held. */
static bool is_patient(const struct call *call)
{
    return call->stage == STAGE_DONE || (call->lends && call->stage == STAGE_SENT);
}

/* Its time is over. Returns the stage that it is left in. Lock held. */
static int leave(struct jobq *q, struct call *call)
{
    int stage = call->stage;

    if (stage == STAGE_QUEUED) {
        unlink_call(q, call);
        wake_leader(q);
    }
    return stage;
}

/* Wait for the exchange, or lead it. Returns STAGE_DONE, or the stage in which its caller leaves it. */
static int join_or_lead(struct jobq *q, struct call *call, const struct timespec *until)
{
    int left = STAGE_NEW;

    pthread_mutex_lock(&q->lock);
    enqueue_call(q, call);
    while (left == STAGE_NEW) {
        struct lane *lane = call->stage == STAGE_QUEUED ? lane_free(q) : NULL;
        if (lane) {
            lane->store ? lead(lane) : lane_open(lane);
            continue;
        }
        bool patient = is_patient(call);
        pthread_mutex_unlock(&q->lock);
        int heard = listen_for(call, patient ? NULL : until);
        if (heard == BELL_DONE)
            return STAGE_DONE;
        pthread_mutex_lock(&q->lock);
        if (heard == BELL_QUIET && !is_patient(call))
            left = leave(q, call);
    }
    pthread_mutex_unlock(&q->lock);
    return left;
}

static struct timespec until_of(int64_t ms)
{
    int64_t at = monotonic_ms() + ms;

    return (struct timespec){ at / 1000, at % 1000 * 1000000 };
}

int call_send(struct jobq *q, struct call *call, int64_t deadline_ms)
{
    int rc = handle_check(q);

    if (rc == JOBQ_OK && (rc = alerts_add(q, call)) != JOBQ_OK)
        fail_copy(&call->error);
    if (rc != JOBQ_OK)
        return call->unit = rc;
    struct timespec until = until_of(deadline_ms > 0 ? deadline_ms : q->options.call_timeout_ms);
    call->bytes = call_bytes(call);
    int stage = join_or_lead(q, call, &until);
    if (stage == STAGE_SENT)
        return fail_with(JOBQ_UNKNOWN, NULL, "no answer within the call's time; it may still take effect");
    if (stage == STAGE_QUEUED)
        return call->unit = fail_with(JOBQ_FAILED, NULL, "the store was busy for the call's whole time");
    return JOBQ_OK;
}

int call_told(struct jobq *q, struct call *call)
{
    hook_call(q, call);
    if (call->unit != JOBQ_OK) {
        call->error.status = call->unit;
        fail_copy(&call->error);
    }
    return call->unit;
}

int call_run(struct jobq *q, struct call *call, int64_t deadline_ms)
{
    int rc = call_send(q, call, deadline_ms);

    return rc == JOBQ_OK ? call_told(q, call) : rc;
}
