/* SPDX-License-Identifier: MIT */
/* The threads that run handlers. Jobs go in at one end and come back finished at the other. A thread calls the store only
 * when no job waits for it, so a slow store delays no handler. */
#include "worker.h"

#include <stdlib.h>

int pool_init(struct pool *pool)
{
    if (pthread_mutex_init(&pool->lock, NULL) != 0)
        return -1;
    if (pthread_cond_init(&pool->work, NULL) != 0) {
        pthread_mutex_destroy(&pool->lock);
        return -1;
    }
    return 0;
}

void pool_destroy(struct pool *pool)
{
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
}

/* ---- the threads -------------------------------------------------------------------------------------- */

/* Its lease passed while it waited here, because the store could not be reached: somebody else may have it
 * by now. */
static bool is_too_late(struct jobq_ctx *job)
{
    int64_t now;

    if (job->acked)
        return false;
    now = worker_now(job->worker);
    return now >= atomic_load(&job->claim->lease_end_ms) || now >= job->stop_ms;
}

static void run_job(struct jobq_ctx *job)
{
    uint32_t flags = atomic_load(&job->flags);

    if (flags & JOBQ_CTX_LOST)
        return;
    /* Nothing was done yet, so nothing speaks for starting it. If somebody else has it, the release is
     * refused. */
    if (is_too_late(job) || (flags & JOBQ_CTX_CANCEL && !job->acked)) {
        job->outcome = JOBQ_RELEASE;
        return;
    }
    hook_handler(job->worker->q, &job->row, JOBQ_HOOK_STARTED);
    job->outcome = job->handler(job, job->user);
    hook_handler(job->worker->q, &job->row, JOBQ_HOOK_RETURNED);
}

/* Lock held. */
static struct jobq_ctx *take_first(struct pool *pool)
{
    struct jobq_ctx *job = pool->first;

    if (!job)
        return NULL;
    pool->first = job->next;
    if (!pool->first)
        pool->last = NULL;
    job->next = NULL;
    job->stage = JOB_RUNNING;
    pool->queued--;
    pool->running++;
    return job;
}

/* While handlers run, the turning thread has things to do and hears the store itself. Lock held. */
static bool wants_a_watcher(struct jobq_worker *w)
{
    return w->pool.running == 0 && !atomic_load(&w->pool.watching) && atomic_load(&w->lends_turns);
}

/* Wait for the store in the turning thread's place: of what it hears of, it runs the first itself. False: that thread is
 * at it, and hears what is left. Lock held. */
static bool watch(struct jobq_worker *w)
{
    struct pool *pool = &w->pool;
    enum aside done;

    atomic_store(&pool->watching, true);
    pthread_mutex_unlock(&pool->lock);
    bool heard = waker_watch(&w->waker);
    atomic_store(&pool->watching, false);
    done = worker_turn_aside(w, heard);
    if (done != ASIDE_ALL)
        waker_ring(&w->waker);
    waker_watched(&w->waker);
    pthread_mutex_lock(&pool->lock);
    return done != ASIDE_NONE;
}

static struct jobq_ctx *next_job(struct jobq_worker *w)
{
    struct pool *pool = &w->pool;
    bool may_watch = true;

    pool->idle++;
    while (!pool->first && !pool->closing)
        if (may_watch && wants_a_watcher(w)) {
            may_watch = watch(w);
        } else {
            pthread_cond_wait(&pool->work, &pool->lock);
            may_watch = true;
        }
    pool->idle--;
    return take_first(pool);
}

/* Put it among the finished. Returns whether somebody has to turn. */
static bool finish_job(struct pool *pool, struct jobq_ctx *job)
{
    bool first = !pool->finished;

    pool->running--;
    job->stage = JOB_FINISHED;
    if (first)
        pool->finished = job;
    else
        pool->newest->next = job;
    pool->newest = job;
    return first;
}

static void *pool_thread(void *arg)
{
    struct jobq_worker *w = arg;
    struct pool *pool = &w->pool;
    struct jobq_ctx *job;

    pthread_mutex_lock(&pool->lock);
    while ((job = next_job(w)) != NULL) {
        pthread_mutex_unlock(&pool->lock);
        run_job(job);
        pthread_mutex_lock(&pool->lock);
        if (!finish_job(pool, job))
            continue;
        bool idle = !pool->first && !pool->closing;
        /* Without the lock: the turning thread asks for it as soon as it wakes. */
        pthread_mutex_unlock(&pool->lock);
        if (!idle || worker_turn_aside(w, false) != ASIDE_ALL)
            waker_ring(&w->waker);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

void pool_offer_watch(struct jobq_worker *w)
{
    bool offer;

    pthread_mutex_lock(&w->pool.lock);
    offer = w->pool.idle && wants_a_watcher(w);
    pthread_mutex_unlock(&w->pool.lock);
    if (offer)
        pthread_cond_signal(&w->pool.work);
}

size_t pool_run_here(struct jobq_worker *w)
{
    struct pool *pool = &w->pool;
    struct jobq_ctx *job;
    size_t count = 0;

    pthread_mutex_lock(&pool->lock);
    while ((job = take_first(pool)) != NULL) {
        pthread_mutex_unlock(&pool->lock);
        run_job(job);
        count++;
        pthread_mutex_lock(&pool->lock);
        (void)finish_job(pool, job);
    }
    pthread_mutex_unlock(&pool->lock);
    return count;
}

void pool_stop(struct jobq_worker *w)
{
    struct pool *pool = &w->pool;

    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    if (atomic_load(&pool->watching))
        waker_call(&w->waker);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    free(pool->threads);
    pool->threads = NULL;
    pool->thread_count = 0;
}

int pool_start(struct jobq_worker *w)
{
    struct pool *pool = &w->pool;

    pool->closing = false;
    pool->threads = calloc(w->thread_count, sizeof *pool->threads);
    if (!pool->threads)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for %zu threads", w->thread_count);
    for (; pool->thread_count < w->thread_count; pool->thread_count++)
        if (pthread_create(&pool->threads[pool->thread_count], NULL, pool_thread, w) != 0) {
            size_t started = pool->thread_count;
            pool_stop(w);
            return fail_with(JOBQ_FAILED, "threads", "threads: the system gave %zu of %zu", started,
                             w->thread_count);
        }
    return JOBQ_OK;
}

bool pool_inside(const struct jobq_worker *w)
{
    for (size_t i = 0; i < w->pool.thread_count; i++)
        if (pthread_equal(w->pool.threads[i], pthread_self()))
            return true;
    return false;
}

/* ---- in and out --------------------------------------------------------------------------------------- */

void pool_give(struct jobq_worker *w, struct jobq_ctx *list)
{
    struct pool *pool = &w->pool;
    size_t wake = 0;
    bool call;

    if (!list)
        return;
    pthread_mutex_lock(&pool->lock);
    if (pool->last)
        pool->last->next = list;
    else
        pool->first = list;
    for (struct jobq_ctx *job = list; job; job = job->next) {
        job->stage = JOB_QUEUED;
        pool->last = job;
        pool->queued++;
        if (w->takes_one)
            w->takes_one = false;
        else
            wake += wake < pool->idle;
    }
    call = wake && atomic_load(&pool->watching) && pool->queued >= pool->idle; /* the others do not suffice */
    pthread_mutex_unlock(&pool->lock);
    if (call)
        waker_call(&w->waker);
    while (wake-- > 0) /* who wakes asks for the lock at once */
        pthread_cond_signal(&pool->work);
}

struct jobq_ctx *pool_take_finished(struct jobq_worker *w)
{
    struct jobq_ctx *list;

    pthread_mutex_lock(&w->pool.lock);
    list = w->pool.finished;
    w->pool.finished = w->pool.newest = NULL;
    pthread_mutex_unlock(&w->pool.lock);
    return list;
}

/* Move the queued jobs for which `which` says so to a list, in order. Lock held. */
static struct jobq_ctx *take_out(struct pool *pool, bool (*which)(const struct jobq_ctx *, const void *),
                                 const void *arg)
{
    struct jobq_ctx *taken = NULL, **end = &taken, **at = &pool->first;

    pool->last = NULL;
    while (*at) {
        struct jobq_ctx *job = *at;
        if (which(job, arg)) {
            *at = job->next;
            job->next = NULL;
            job->stage = JOB_FINISHED;
            pool->queued--;
            *end = job;
            end = &job->next;
        } else {
            pool->last = job;
            at = &job->next;
        }
    }
    return taken;
}

static bool is_leased(const struct jobq_ctx *job, const void *arg)
{
    (void)arg;
    return !job->acked;
}

static bool is_any(const struct jobq_ctx *job, const void *arg)
{
    (void)job;
    (void)arg;
    return true;
}

static bool is_same(const struct jobq_ctx *job, const void *arg)
{
    return job == arg;
}

struct jobq_ctx *pool_take_queued(struct jobq_worker *w, bool acked)
{
    struct jobq_ctx *list;

    pthread_mutex_lock(&w->pool.lock);
    list = take_out(&w->pool, acked ? is_any : is_leased, NULL);
    pthread_mutex_unlock(&w->pool.lock);
    return list;
}

bool pool_take_job(struct jobq_worker *w, struct jobq_ctx *job)
{
    struct jobq_ctx *taken = NULL;

    pthread_mutex_lock(&w->pool.lock);
    if (job->stage == JOB_QUEUED)
        taken = take_out(&w->pool, is_same, job);
    pthread_mutex_unlock(&w->pool.lock);
    return taken != NULL;
}

size_t pool_running(struct jobq_worker *w)
{
    size_t running;

    pthread_mutex_lock(&w->pool.lock);
    running = w->pool.running;
    pthread_mutex_unlock(&w->pool.lock);
    return running;
}
