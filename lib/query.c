/* SPDX-License-Identifier: MIT */
/* Reading: one job, pages of jobs, waiting for an end, statistics; and the few settings. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int read_rows(struct jobq *q, struct jobq_query *query, struct jobq_arena *arena)
{
    struct jobq_error *error;
    int rc = handle_check(q);

    if (rc != JOBQ_OK)
        return rc;
    if (!arena)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for an answer");
    if (!query->bytes)
        query->bytes = EXCHANGE_BYTES;
    struct jobq_store *store = handle_enter(q);
    error = last_error();
    rc = q->backend->read(store, query, arena, error);
    handle_leave(q);
    error->status = rc;
    return rc;
}

int query_of_filter(struct jobq *q, const struct jobq_filter *given, struct jobq_query *out)
{
    struct jobq_filter filter = { .size = sizeof filter };
    int rc = handle_check(q);

    *out = (struct jobq_query){ .size = sizeof *out };
    if (rc == JOBQ_OK && given)
        rc = read_struct("filter", given, given->size, offsetof(struct jobq_filter, kind), &filter, sizeof filter);
    if (rc == JOBQ_OK)
        rc = check_filter(&filter);
    if (rc != JOBQ_OK)
        return rc;
    out->queue = bytes_of(filter.queue);
    out->kind = bytes_of(filter.kind);
    out->group = bytes_of(filter.group);
    out->states = filter.states;
    out->reason = filter.reason;
    out->older_ms = filter.older_ms;
    out->limit = filter.limit ? filter.limit : 100;
    out->bytes = filter.bytes;
    if (filter.after)
        out->after = *filter.after;
    return JOBQ_OK;
}

#define WHOLE (JOBQ_READ_PAYLOAD | JOBQ_READ_RESULT | JOBQ_READ_ERRORS)

static int read_jobs(struct jobq *q, struct jobq_query *query, uint32_t flags, struct jobq_jobs **out)
{
    struct jobq_arena *arena = jobq_arena_create();
    int rc;

    query->flags = flags;
    rc = read_rows(q, query, arena);
    if (rc == JOBQ_OK && query->id_count && query->row_count == 0)
        rc = fail_with(JOBQ_NOT_FOUND, "id", "no such job");
    if (rc == JOBQ_OK)
        return jobs_make(arena, query->rows, query->row_count, query->now_ms, out);
    jobq_arena_destroy(arena);
    return rc;
}

int jobq_get(struct jobq *q, const struct jobq_id *id, struct jobq_jobs **out)
{
    struct jobq_query query = { .size = sizeof query, .ids = id, .id_count = 1, .limit = 1 };

    *out = NULL;
    return id ? read_jobs(q, &query, WHOLE | JOBQ_READ_LOG, out) : fail_with(JOBQ_INVALID, "id", "id: is NULL");
}

static int list(struct jobq *q, const struct jobq_filter *filter, uint32_t flags, struct jobq_jobs **out)
{
    struct jobq_query query;
    int rc = query_of_filter(q, filter, &query);

    *out = NULL;
    return rc == JOBQ_OK ? read_jobs(q, &query, flags, out) : rc;
}

int jobq_list(struct jobq *q, const struct jobq_filter *filter, struct jobq_jobs **out)
{
    return list(q, filter, WHOLE, out);
}

int list_bare(struct jobq *q, const struct jobq_filter *filter, struct jobq_jobs **out)
{
    return list(q, filter, 0, out);
}

/* ---- wait ---------------------------------------------------------------------------------------------------------------- */

/* Woken by exchanges of the same handle; other processes are asked about with a growing pause. */
struct waiter {
    struct poke poke;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool poked;
};

static void waiter_poke(void *user)
{
    struct waiter *w = user;

    pthread_mutex_lock(&w->lock);
    w->poked = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void waiter_begin(struct jobq *q, struct waiter *w)
{
    pthread_condattr_t attr;

    *w = (struct waiter){ .poke = { waiter_poke, w, NULL } };
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    handle_poke_add(q, &w->poke);
}

static void waiter_end(struct jobq *q, struct waiter *w)
{
    handle_poke_remove(q, &w->poke);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
}

static void waiter_sleep(struct waiter *w, int64_t ms)
{
    int64_t at = monotonic_ms() + ms;
    struct timespec until = { at / 1000, at % 1000 * 1000000 };

    pthread_mutex_lock(&w->lock);
    while (!w->poked && pthread_cond_timedwait(&w->wake, &w->lock, &until) != ETIMEDOUT)
        ;
    w->poked = false;
    pthread_mutex_unlock(&w->lock);
}

static bool has_ended(const struct jobq_jobs *jobs)
{
    return jobs->jobs[0].state >= JOBQ_COMPLETED;
}

int jobq_wait(struct jobq *q, const struct jobq_id *id, int64_t timeout_ms, struct jobq_jobs **out)
{
    struct jobq_jobs *seen = NULL;
    struct waiter w;
    int64_t pause = 2, start = monotonic_ms(), left = 0;
    int rc = handle_check_own(q, "jobq_wait");

    if (out)
        *out = NULL;
    if (rc != JOBQ_OK)
        return rc;
    waiter_begin(q, &w);
    for (;;) {
        rc = jobq_get(q, id, &seen);
        left = timeout_ms < 0 ? INT64_MAX : timeout_ms - (monotonic_ms() - start);
        if (rc != JOBQ_OK || has_ended(seen) || left <= 0)
            break;
        jobq_jobs_free(seen);
        waiter_sleep(&w, pause < left ? pause : left);
        pause = pause < 128 ? pause * 2 : 128;
    }
    waiter_end(q, &w);
    if (rc == JOBQ_OK && !has_ended(seen))
        rc = fail_with(JOBQ_TIMEOUT, NULL, "the job has not ended within the time");
    if (out && (rc == JOBQ_OK || rc == JOBQ_TIMEOUT))
        *out = seen;
    else if (rc == JOBQ_OK || rc == JOBQ_TIMEOUT)
        jobq_jobs_free(seen);
    return rc;
}

/* ---- statistics ------------------------------------------------------------------------------------------------------------ */

struct stats_owner {
    struct jobq_stats stats;
    struct jobq_arena *arena;
};

int jobq_stats(struct jobq *q, const char *queue, struct jobq_stats **out)
{
    struct jobq_bytes name = bytes_of(queue);
    struct stats_owner *owner;
    int rc = handle_check_own(q, "jobq_stats");

    *out = NULL;
    if (rc == JOBQ_OK)
        rc = check_name_or_null("queue", queue);
    if (rc != JOBQ_OK)
        return rc;
    owner = calloc(1, sizeof *owner);
    if (!owner || !(owner->arena = jobq_arena_create())) {
        free(owner);
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for the statistics");
    }
    owner->stats.size = sizeof owner->stats;
    struct jobq_store *store = handle_enter(q);
    rc = q->backend->stats(store, &name, &owner->stats, owner->arena, last_error());
    handle_leave(q);
    *out = &owner->stats;
    if (rc != JOBQ_OK) {
        jobq_stats_free(*out);
        *out = NULL;
    }
    return rc;
}

void jobq_stats_free(struct jobq_stats *stats)
{
    struct stats_owner *owner = (struct stats_owner *)(void *)stats;

    if (!owner)
        return;
    jobq_arena_destroy(owner->arena);
    free(owner);
}

/* ---- settings --------------------------------------------------------------------------------------------------------------- */

int handle_configure(struct jobq *q, const struct jobq_settings *settings)
{
    int rc = handle_check_own(q, "a setting");

    if (rc != JOBQ_OK)
        return rc;
    struct jobq_store *store = handle_enter(q);
    rc = q->backend->configure(store, settings, last_error());
    handle_leave(q);
    if (settings->what == JOBQ_CONFIGURE_CLOCK)
        __atomic_store_n(&q->tick_at_ms, 0, __ATOMIC_RELAXED);
    jobq_wake(q); /* what was held back may run now */
    return rc;
}

static int set_paused(struct jobq *q, const char *queue, int paused)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_PAUSED,
                               .name = bytes_of(queue), .paused = paused };
    int rc = check_name("queue", queue);

    return rc == JOBQ_OK ? handle_configure(q, &s) : rc;
}

int jobq_pause(struct jobq *q, const char *queue)
{
    return set_paused(q, queue, 1);
}

int jobq_resume(struct jobq *q, const char *queue)
{
    return set_paused(q, queue, 0);
}

int jobq_ask_stop(struct jobq *q, const char *worker)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_WORKER, .name = bytes_of(worker) };
    int rc = check_name("worker", worker);

    if (rc == JOBQ_OK)
        rc = handle_configure(q, &s);
    return rc == JOBQ_NOT_FOUND ? fail_with(rc, "worker", "worker: none is registered as \"%s\"", worker) : rc;
}

int jobq_clock_advance(struct jobq *q, int64_t ms)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = ms };
    int rc = check_range("ms", ms, 0, INT64_C(1) << 40);

    return rc == JOBQ_OK ? handle_configure(q, &s) : rc;
}
