/* SPDX-License-Identifier: MIT */
/* The life of a worker: start, the deadlines between its turns, stop. */
#include "worker.h"

#include <string.h>

int64_t worker_now(const struct jobq_worker *w)
{
    return w->clock(w->clock_user);
}

/* ---- start and end ------------------------------------------------------------------------------------ */

static void begin_work(struct jobq_worker *w)
{
    int64_t now = worker_now(w);

    w->phase = PHASE_WORKING;
    w->ask_at_ms = 0;
    w->alone_at_ms = w->beat_at_ms = w->progress_at_ms = NEVER;
    w->alone_asked_ms = w->sweep_at_ms = now;
    w->tick_at_ms = NEVER;
    w->tick_hold_ms = 0;
    w->alone_asked_once = false;
    w->retry_at_ms = w->want_retry_at_ms = 0;
    w->troubles = 0;
    w->trouble = TROUBLE_NONE;
    w->holder_count = 0;
    w->last_mode = 0;
    w->beats_alone = false;
    w->record_new = true;
    w->empty_due = w->empty_alone = w->empty_sweep = false;
    w->abandoned = 0;
}

int worker_begin(struct jobq_worker *w)
{
    int rc;

    if (w->handler_count == 0)
        return fail_with(JOBQ_INVALID, "handler", "handler: the worker has none");
    rc = worker_list_kinds(w);
    if (rc == JOBQ_OK && !w->in_line)
        rc = pool_start(w);
    if (rc != JOBQ_OK)
        return rc;
    handle_poke_add(w->q, &w->poke);
    begin_work(w);
    crew_join(w, worker_now(w));
    return JOBQ_OK;
}

static void end(struct jobq_worker *w)
{
    pool_stop(w);
    couriers_stop(w);
    handle_poke_remove(w->q, &w->poke);
    crew_leave(w, worker_now(w));
    answer_drop(w->judge.answer);
    w->judge.answer = NULL;
    w->judge.count = 0;
    atomic_store(&w->stop_asked, false); /* heard; the next run is another one */
}

/* Not started yet: back to its place. */
static void give_back(struct jobq_worker *w, struct jobq_ctx *list)
{
    for (struct jobq_ctx *job = list; job; job = job->next) {
        job->outcome = JOBQ_RELEASE;
        job->stage = JOB_FINISHED;
        if (w->alone == job)
            w->alone = NULL;
    }
    jobs_append(&w->handin, list);
}

static void begin_stop(struct jobq_worker *w, int64_t now)
{
    w->phase = PHASE_STOPPING;
    w->grace_until_ms = jobq_add_ms(now, w->grace_ms);
    jobs_flag(w, JOBQ_CTX_STOPPING);
    give_back(w, pool_take_queued(w, false)); /* what was acked early is nobody else's any more: it is run */
    give_back(w, w->early);
    w->early = NULL;
}

static void begin_late(struct jobq_worker *w)
{
    struct jobq_ctx *list = pool_take_queued(w, true);

    w->phase = PHASE_LATE;
    w->retry_at_ms = 0; /* one more try, whatever happened before */
    w->beats_alone = false;
    while (list) {
        struct jobq_ctx *job = list;
        list = job->next;
        job_over(w, job);
    }
}

/* ---- draining ----------------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Wants found nothing; others may still be running jobs of these queues, or leave some that this worker
 * cannot take. */
static void look_for_the_end(struct jobq_worker *w)
{
    int64_t now = worker_now(w);

    /* While others of the handle hold jobs it cannot ask for what must run alone; the statistics tell if there is any. */
    if (!(w->flags & JOBQ_WORKER_DRAIN) || w->phase != PHASE_WORKING || w->held || w->under_way || w->judge.count ||
        !w->empty_due || (!w->empty_alone && crew_others(w) == 0))
        return;
    if (!w->empty_sweep) { /* what was done since may have left something to judge: look once more */
        w->sweep_at_ms = earlier(w->sweep_at_ms, now);
        return;
    }
    if (w->in_line || worker_nothing_left(w)) { /* in line: what others run is not due */
        begin_stop(w, now);
        return;
    }
    w->empty_due = w->empty_alone = false;
    w->ask_at_ms = earlier(w->ask_at_ms, jobq_add_ms(now, DRAIN_LOOK_MS));
}

/* ---- what happened since the last turn ---------------------------------------------------------------- */

static void take_finished(struct jobq_worker *w)
{
    struct jobq_ctx *list = pool_take_finished(w), *spoken = NULL, **tail = &spoken;

    while (list) {
        struct jobq_ctx *job = list;
        list = job->next;
        job->next = NULL;
        if (w->alone == job)
            w->alone = NULL;
        if (job->lost || job->acked) { /* nobody waits for what it says */
            job_over(w, job);
            continue;
        }
        *tail = job;
        tail = &job->next;
    }
    jobs_append(&w->handin, spoken);
}

/* Two workers may share the handle and its descriptor; whoever hears it first tells the other. */
static void hear_store(struct jobq_worker *w)
{
    struct jobq *q = w->q;

    pthread_mutex_lock(&q->lock);
    if (q->backend->wake_drain(q->lanes[0].store))
        handle_poke(q);
    pthread_mutex_unlock(&q->lock);
}

static void hear_pokes(struct jobq_worker *w)
{
    uint32_t pokes = atomic_load(&w->pokes);

    if (pokes == w->pokes_seen)
        return;
    w->pokes_seen = pokes;
    w->ask_at_ms = 0;
}

static void schedule_progress(struct jobq_worker *w)
{
    bool waits;

    pthread_mutex_lock(&w->pool.lock);
    waits = w->pool.progress_new;
    pthread_mutex_unlock(&w->pool.lock);
    if (waits && w->progress_at_ms == NEVER)
        w->progress_at_ms = jobq_add_ms(w->progress_sent_ms, PROGRESS_EVERY_MS);
}

/* The bell is made quiet first: what rings it is looked at after that. */
static void collect(struct jobq_worker *w)
{
    int64_t now = worker_now(w);
    bool back;

    if (waker_look(&w->waker) & WAKE_STORE)
        hear_store(w);
    back = worker_turns_back(w) || w->look_late;
    if (!w->asking) /* what the want under way will see needs no other */
        hear_pokes(w);
    take_finished(w);
    schedule_progress(w);
    if (w->phase == PHASE_WORKING && atomic_load(&w->stop_asked) && !w->under_way)
        begin_stop(w, now);
    if (w->phase == PHASE_STOPPING && now >= w->grace_until_ms)
        begin_late(w);
    crew_settle(w, now);
    w->look_late = back && w->aside;
    if (back && !w->aside)
        look_for_the_end(w);
}

/* ---- deadlines ---------------------------------------------------------------------------------------- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t want_due_at(const struct jobq_worker *w, int64_t now)
{
    int64_t at = w->judge.count ? NEVER : earlier(w->sweep_at_ms, w->tick_at_ms);

    if (w->alone || worker_free_slots(w, 0) == 0 || crew_hushed(w))
        return later(at, w->want_retry_at_ms);
    if (w->held == 0 && crew_others(w) == 0)
        at = earlier(at, crew_is_silent(w, now) ? 0 : w->alone_at_ms);
    if (worker_holds_back(w, now))
        at = earlier(at, crew_window_end(w));
    else
        at = earlier(at, w->ask_at_ms);
    return later(at, w->want_retry_at_ms);
}

static bool may_leave(const struct jobq_worker *w)
{
    return w->phase >= PHASE_STOPPING && w->held == 0 && w->judge.count == 0;
}

/* When something is due that must have the turn to itself. */
static int64_t single_due_at(const struct jobq_worker *w)
{
    int64_t at = w->progress_at_ms;

    if (w->early || w->judge.count || (w->phase == PHASE_WORKING && w->record_new))
        at = 0;
    if (w->phase != PHASE_LATE)
        at = earlier(at, w->beat_at_ms);
    return at;
}

/* When the next exchange is due, by the worker's clock. */
static int64_t turn_due_at(const struct jobq_worker *w, int64_t now)
{
    int64_t at = w->handin ? 0 : single_due_at(w);

    if (may_leave(w))
        return 0;
    if (w->phase == PHASE_WORKING)
        at = earlier(at, want_due_at(w, now));
    return later(at, w->retry_at_ms);
}

/* Nothing but outcomes and a want for jobs is due. */
static bool is_plain(const struct jobq_worker *w, int64_t now)
{
    return w->phase == PHASE_WORKING && !atomic_load(&w->stop_asked) && !w->alone && !w->beats_alone &&
           single_due_at(w) > now && w->sweep_at_ms > now && w->tick_at_ms > now;
}

/* Handlers that go on meanwhile are what makes another turn worth starting before this one is answered. */
static bool goes_beside(struct jobq_worker *w, int64_t now)
{
    size_t done = 0;

    if (!w->couriers.wanted || !is_plain(w, now))
        return false;
    for (const struct jobq_ctx *job = w->handin; job; job = job->next)
        done++;
    return (w->under_way || w->held > done) && couriers_ready(w);
}

/* When the next one may join those under way; else it waits until they are back. */
static int64_t beside_due_at(const struct jobq_worker *w, int64_t now)
{
    int64_t at = w->handin ? 0 : NEVER;

    if (w->under_way == COURIERS || !is_plain(w, now))
        return NEVER;
    if (!w->asking)
        at = earlier(at, want_due_at(w, now));
    return later(at, w->retry_at_ms);
}

static int64_t next_due_at(const struct jobq_worker *w, int64_t now)
{
    return w->under_way ? beside_due_at(w, now) : turn_due_at(w, now);
}

/* ---- the loop ----------------------------------------------------------------------------------------- */

static int check(const struct jobq_worker *w)
{
    return w ? handle_check(w->q) : fail_with(JOBQ_INVALID, "w", "w: is NULL");
}

static int finish(struct jobq_worker *w)
{
    end(w);
    if (w->abandoned)
        return fail_with(JOBQ_FAILED, NULL,
                         "%zu outcomes could not be handed in; these jobs run again after their lease",
                         w->abandoned);
    return JOBQ_ALREADY;
}

static void tell_late(struct jobq_worker *w)
{
    if (w->late_notice && w->notice)
        w->notice(w->late_notice, w->late_text, w->notice_user);
    w->late_notice = 0;
}

/* Around whatever is done by whoever turns. What was said meanwhile, and not by this turn itself, is for the next. */
static void turns_begin(struct jobq_worker *w)
{
    atomic_store(&w->turning, true);
}

static void turns_end(struct jobq_worker *w)
{
    atomic_store(&w->turning, false);
    if (atomic_load(&w->pokes) != w->pokes_seen)
        waker_ring(&w->waker);
}

static int step(struct jobq_worker *w)
{
    int rc;

    tell_late(w);
    collect(w);
    int64_t now = worker_now(w);
    if (next_due_at(w, now) > now)
        return JOBQ_OK;
    if (goes_beside(w, now)) {
        worker_turn_beside(w);
        return JOBQ_OK;
    }
    rc = worker_turn(w);
    if (rc != JOBQ_OK)
        return rc;
    look_for_the_end(w);
    return w->phase == PHASE_ENDED ? finish(w) : JOBQ_OK;
}

int worker_step(struct jobq_worker *w)
{
    if (w->phase == PHASE_ENDED)
        return JOBQ_ALREADY;
    turns_begin(w);
    int rc = step(w);
    turns_end(w);
    return rc;
}

/* By the worker's clock, when the turning thread has something to do. */
static int64_t wakes_at(struct jobq_worker *w, int64_t now)
{
    int64_t at = w->phase == PHASE_ENDED ? NEVER : next_due_at(w, now);

    if (w->phase == PHASE_WORKING && atomic_load(&w->stop_asked) && !w->under_way)
        return 0;
    if (w->phase == PHASE_STOPPING)
        at = earlier(at, w->grace_until_ms);
    return earlier(at, crew_wakes_at(w, now));
}

/* Whether what is due is for the thread that turns by itself: all but outcomes and a want, and what people are told. */
static bool turn_aside(struct jobq_worker *w)
{
    int64_t now;

    if (w->phase != PHASE_WORKING || atomic_load(&w->stop_asked) || w->trouble != TROUBLE_NONE)
        return false;
    if (w->couriers.wanted && w->capacity > w->thread_count && w->held) /* it keeps two exchanges under way */
        return false;
    collect(w);
    now = worker_now(w);
    if (!is_plain(w, now))
        return false;
    if (next_due_at(w, now) <= now) {
        if (goes_beside(w, now))
            worker_turn_beside(w);
        else if (worker_turn(w) != JOBQ_OK)
            return false;
        w->look_late = w->look_late || (w->flags & JOBQ_WORKER_DRAIN && w->held == 0);
    }
    return !w->late_notice && !w->look_late && wakes_at(w, worker_now(w)) >= w->waits_until_ms;
}

enum aside worker_turn_aside(struct jobq_worker *w, bool heard)
{
    bool all = false;

    if (pthread_mutex_trylock(&w->turns) != 0)
        return ASIDE_NONE;
    if (atomic_load(&w->lends_turns)) { /* the rest is not this thread's to look at */
        w->aside = w->takes_one = true;
        turns_begin(w);
        if (heard)
            hear_store(w);
        all = turn_aside(w);
        turns_end(w);
        w->aside = w->takes_one = false;
    }
    pthread_mutex_unlock(&w->turns);
    return all ? ASIDE_ALL : ASIDE_REST;
}

int jobq_worker_dispatch(struct jobq_worker *w)
{
    int rc = check(w);

    if (rc == JOBQ_OK && w->phase == PHASE_NEW)
        rc = worker_begin(w);
    return rc == JOBQ_OK ? worker_step(w) : rc;
}

int64_t jobq_worker_next_ms(struct jobq_worker *w)
{
    int64_t now, at;

    if (check(w) != JOBQ_OK || w->phase == PHASE_NEW)
        return 0;
    now = worker_now(w);
    at = wakes_at(w, now);
    return at <= now ? 0 : earlier(at - now, 3600000);
}

int jobq_worker_fd(struct jobq_worker *w)
{
    int rc = check(w);

    if (rc == JOBQ_OK && w->phase == PHASE_NEW)
        rc = worker_begin(w);
    return rc == JOBQ_OK ? w->waker.epoll : rc;
}

static void wait_for_turns(struct jobq_worker *w)
{
    int64_t ms = jobq_worker_next_ms(w);

    w->waits_until_ms = jobq_add_ms(worker_now(w), ms);
    pthread_mutex_unlock(&w->turns);
    pool_offer_watch(w);
    waker_wait(&w->waker, ms);
    pthread_mutex_lock(&w->turns);
}

int jobq_worker_run(struct jobq_worker *w)
{
    int rc = check(w);

    if (rc != JOBQ_OK)
        return rc;
    pthread_mutex_lock(&w->turns);
    w->couriers.wanted = w->q->lane_count > 1;
    atomic_store(&w->lends_turns, true);
    if (w->phase == PHASE_NEW || w->phase == PHASE_ENDED)
        rc = worker_begin(w);
    while (rc == JOBQ_OK && (rc = worker_step(w)) == JOBQ_OK)
        wait_for_turns(w);
    atomic_store(&w->lends_turns, false);
    waker_call(&w->waker);
    pthread_mutex_unlock(&w->turns);
    return rc == JOBQ_ALREADY ? JOBQ_OK : rc;
}

void jobq_worker_stop(struct jobq_worker *w)
{
    if (!w)
        return;
    atomic_store(&w->stop_asked, true);
    waker_ring(&w->waker);
}

void jobq_worker_destroy(struct jobq_worker *w)
{
    if (!w)
        return;
    if (handle_check(w->q) != JOBQ_OK) { /* in a child: its threads and locks are the parent's */
        worker_free(w);
        return;
    }
    if (pool_inside(w)) {
        (void)fail_with(JOBQ_STATE, NULL, "a handler cannot destroy its worker");
        return;
    }
    if (w->phase != PHASE_NEW && w->phase != PHASE_ENDED) {
        jobq_worker_stop(w);
        (void)jobq_worker_run(w);
    }
    pool_destroy(&w->pool);
    couriers_destroy(&w->couriers);
    pthread_mutex_destroy(&w->turns);
    worker_free(w);
}

void jobq_worker_counts(struct jobq_worker *w, struct jobq_worker_counts *out)
{
    struct jobq_worker_counts counts;

    if (check_struct("jobq_worker_counts", out->size, sizeof out->size) != JOBQ_OK || check(w) != JOBQ_OK)
        return;
    pthread_mutex_lock(&w->pool.lock);
    counts = w->counts;
    pthread_mutex_unlock(&w->pool.lock);
    counts.size = out->size;
    memcpy(out, &counts, out->size < sizeof counts ? out->size : sizeof counts);
}
