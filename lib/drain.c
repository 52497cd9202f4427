/* SPDX-License-Identifier: MIT */
/* When a draining worker has come to its end, what it waits for until then, and what it leaves. */
#include "worker.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool is_mine(const struct jobq_worker *w, const char *queue)
{
    for (size_t i = 0; i < w->queue_count; i++)
        if (strcmp(w->queues[i], queue) == 0)
            return true;
    return false;
}

static bool is_handled(const struct jobq_worker *w, const struct jobq_kind_stats *kind)
{
    return worker_handler(w, bytes_of(kind->kind)) != NULL;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* ---- whom it waits for -------------------------------------------------------------------------------- */

static void print_instant(int64_t at_ms, char out[32])
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm parts;
    size_t size = gmtime_r(&seconds, &parts) ? strftime(out, 21, "%Y-%m-%dT%H:%M:%S", &parts) : 0;

    snprintf(out + size, 32 - size, ".%03dZ", (int)(at_ms % 1000));
}

/* One line for each holder, the first time it is met. */
static void say_holder(struct jobq_worker *w, const char *name, uint64_t count, int64_t until_ms)
{
    char until[32];
    uint32_t mark = 2166136261u; /* a mark is enough: at worst two holders share one line */

    for (const char *at = name; *at; at++)
        mark = (mark ^ (uint8_t)*at) * 16777619u;
    for (size_t i = 0; i < w->holder_count; i++)
        if (w->holders[i] == mark)
            return;
    if (w->holder_count == HOLDERS_SAID)
        return;
    w->holders[w->holder_count++] = mark;
    print_instant(until_ms, until);
    worker_say(w, JOBQ_NOTICE_LEASES, "waiting for the lease of %llu job%s held by %s until %s",
               (unsigned long long)count, plural(count), name, until);
}

static void say_page(struct jobq_worker *w, const struct jobq_jobs *page)
{
    for (size_t i = 0; i < page->count; i++) {
        const char *name = page->jobs[i].worker;
        uint64_t count = 0;
        int64_t until_ms = 0;
        bool first = true;
        for (size_t k = 0; k < page->count; k++) {
            if (strcmp(page->jobs[k].worker, name) != 0)
                continue;
            first = first && k >= i;
            count++;
            if (page->jobs[k].lease_until_ms > until_ms)
                until_ms = page->jobs[k].lease_until_ms;
        }
        if (first)
            say_holder(w, name, count, until_ms);
    }
}

static void say_holders(struct jobq_worker *w, const char *queue)
{
    struct jobq_filter filter = {.size = sizeof filter, .queue = queue, .states = 1u << JOBQ_RUNNING};
    struct jobq_jobs *page = NULL;

    if (!w->notice || w->holder_count == HOLDERS_SAID)
        return;
    if (jobq_list(w->q, &filter, &page) == JOBQ_OK)
        say_page(w, page);
    jobq_jobs_free(page);
}

/* ---- what it leaves ----------------------------------------------------------------------------------- */

/* Ready jobs of this queue that some handler of ours would take. No such kind among many: wants find none
 * either. */
static bool has_work(const struct jobq_worker *w, const struct jobq_stats *stats, const char *queue)
{
    bool others = false;

    for (size_t i = 0; i < stats->kind_count; i++) {
        const struct jobq_kind_stats *kind = &stats->kinds[i];
        if (strcmp(kind->queue, queue) != 0 || kind->ready == 0)
            continue;
        if (is_handled(w, kind))
            return true;
        others = true;
    }
    return !others;
}

static void say_left(struct jobq_worker *w, const struct jobq_stats *stats,
                     const struct jobq_queue_stats *queue)
{
    uint64_t ready = queue->present[JOBQ_READY];

    if (ready && queue->paused) {
        worker_say(w, JOBQ_NOTICE_LEFT, "queue %s is paused: %llu ready job%s left", queue->queue,
                   (unsigned long long)ready, ready == 1 ? " is" : "s are");
        return;
    }
    for (size_t i = 0; i < stats->kind_count; i++) {
        const struct jobq_kind_stats *kind = &stats->kinds[i];
        if (strcmp(kind->queue, queue->queue) == 0 && kind->ready && !is_handled(w, kind))
            worker_say(w, JOBQ_NOTICE_LEFT,
                       "queue %s: %llu ready job%s left of kind %s, for which there is no handler here",
                       kind->queue, (unsigned long long)kind->ready, kind->ready == 1 ? " is" : "s are",
                       kind->kind);
    }
}

/* ---- the end ------------------------------------------------------------------------------------------ */

static bool is_at_end(struct jobq_worker *w, const struct jobq_stats *stats)
{
    bool end = true;

    for (size_t i = 0; i < stats->queue_count; i++) {
        const struct jobq_queue_stats *queue = &stats->queues[i];
        if (!is_mine(w, queue->queue))
            continue;
        if (queue->present[JOBQ_READY] && !queue->paused && has_work(w, stats, queue->queue))
            end = false;
        if (queue->present[JOBQ_RUNNING]) {
            say_holders(w, queue->queue);
            end = false;
        }
    }
    return end;
}

bool worker_nothing_left(struct jobq_worker *w)
{
    struct jobq_stats *stats = NULL;
    bool end;

    pthread_mutex_lock(&w->pool.lock);
    w->counts.exchanges++;
    pthread_mutex_unlock(&w->pool.lock);
    if (jobq_stats(w->q, NULL, &stats) != JOBQ_OK)
        return false;
    end = is_at_end(w, stats);
    for (size_t i = 0; end && i < stats->queue_count; i++)
        if (is_mine(w, stats->queues[i].queue))
            say_left(w, stats, &stats->queues[i]);
    jobq_stats_free(stats);
    return end;
}
