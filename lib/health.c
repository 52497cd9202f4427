/* SPDX-License-Identifier: MIT */
/* How the queues are: the figures an operator looks at, what is out of the ordinary, and what to do about it. */
#include "internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNNING_READ 1000
#define FINDINGS_PER_QUEUE 9

struct health_owner {
    struct jobq_health health;
    struct jobq_arena *arena;
};

/* What the judgement adds to. */
struct judge {
    struct jobq_arena *arena;
    struct jobq_health *health;
    struct jobq_finding *findings;
    size_t room;
    const char *queue;
    bool failed; /* out of memory */
};

static const char *print(struct judge *j, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static const char *print(struct judge *j, const char *format, va_list args)
{
    char text[640];
    const char *out;

    vsnprintf(text, sizeof text, format, args);
    out = jobq_arena_text(j->arena, text, strlen(text));
    j->failed |= !out;
    return out;
}

/* `advice` is lent: a constant. */
static void find(struct judge *j, int what, int severity, uint64_t value, uint64_t limit, const char *advice,
                 const char *format, ...) __attribute__((format(printf, 7, 8)));

static void find(struct judge *j, int what, int severity, uint64_t value, uint64_t limit, const char *advice,
                 const char *format, ...)
{
    va_list args;

    if (j->health->finding_count == j->room)
        return;
    va_start(args, format);
    j->findings[j->health->finding_count++] = (struct jobq_finding){
        .what = what, .severity = severity, .queue = j->queue, .value = value, .limit = limit,
        .issue = print(j, format, args), .recommendation = advice,
    };
    va_end(args);
    if (severity > j->health->status)
        j->health->status = severity;
}

/* ---- one queue ------------------------------------------------------------------------------------------------------------ */

static uint64_t pending(const struct jobq_queue_stats *s)
{
    return s->present[JOBQ_BLOCKED] + s->present[JOBQ_SCHEDULED] + s->present[JOBQ_READY];
}

static uint64_t total(const struct jobq_queue_stats *s)
{
    uint64_t sum = 0;

    for (int state = 1; state < JOBQ_STATE_COUNT; state++)
        sum += s->present[state];
    return sum;
}

static int64_t average(const struct jobq_durations *d)
{
    return d->count ? d->total_ms / (int64_t)d->count : 0;
}

static bool has_worker(const struct jobq_stats *stats, const char *queue)
{
    for (size_t i = 0; i < stats->worker_count; i++)
        if (worker_alive(&stats->workers[i], stats->now_ms) && name_listed(stats->workers[i].queues, queue))
            return true;
    return false;
}

/* "1 job is", "2 jobs are". */
static const char *word(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

static void judge_counts(struct judge *j, const struct jobq_queue_stats *s, const struct jobq_thresholds *t)
{
    uint64_t all = total(s), dead = s->present[JOBQ_DEAD], percent = all ? dead * 100 / all : 0;

    if (dead * 100 > all * (uint64_t)t->error_percent)
        find(j, JOBQ_FINDING_ERRORS, JOBQ_SEVERITY_WARNING, percent, (uint64_t)t->error_percent,
             "see what they died of (jobq dead --by-error), then redrive or drop them",
             "%" PRIu64 " of %" PRIu64 " %s dead", dead, all, all == 1 ? "job is" : word(dead, "jobs is", "jobs are"));
    if (pending(s) > t->pending_max)
        find(j, JOBQ_FINDING_PENDING, JOBQ_SEVERITY_WARNING, pending(s), t->pending_max,
             "add workers, or threads to them", "%" PRIu64 " %s", pending(s),
             word(pending(s), "job waits", "jobs wait"));
    if (s->stuck > t->stuck_critical)
        find(j, JOBQ_FINDING_STUCK, JOBQ_SEVERITY_CRITICAL, s->stuck, t->stuck_critical,
             "a worker or jobq sweep takes them back; see why their workers ended",
             "%" PRIu64 " %s stuck: %s lease has run out", s->stuck, word(s->stuck, "job is", "jobs are"),
             word(s->stuck, "its", "their"));
    else if (s->stuck > t->stuck_max)
        find(j, JOBQ_FINDING_STUCK, JOBQ_SEVERITY_WARNING, s->stuck, t->stuck_max,
             "a worker or jobq sweep takes them back", "%" PRIu64 " %s stuck: %s lease has run out", s->stuck,
             word(s->stuck, "job is", "jobs are"), word(s->stuck, "its", "their"));
}

/* Nothing leaves silently: who lets the dead lie hears of it before retention takes the oldest. */
static void judge_retention(struct judge *j, const struct jobq_queue_stats *s, int64_t kept,
                            const struct jobq_thresholds *t)
{
    uint64_t dead = s->present[JOBQ_DEAD];

    if (kept > 0 && dead >= (uint64_t)kept / 100 * (uint64_t)t->retention_percent +
                                (uint64_t)kept % 100 * (uint64_t)t->retention_percent / 100 && dead > 0)
        find(j, JOBQ_FINDING_RETENTION, JOBQ_SEVERITY_WARNING, dead, (uint64_t)kept,
             "redrive or drop them, or have more kept", "%" PRIu64 " dead %s of %" PRId64 " that %s kept: "
             "beyond that the oldest are removed", dead, word(dead, "job", "jobs"), kept, kept == 1 ? "is" : "are");
}

static void judge_service(struct judge *j, const struct jobq_stats *stats, const struct jobq_queue_stats *s,
                          const struct jobq_thresholds *t)
{
    uint64_t ready = s->present[JOBQ_READY];

    if (average(&s->ran) > t->average_ms)
        find(j, JOBQ_FINDING_SLOW, JOBQ_SEVERITY_WARNING, (uint64_t)average(&s->ran), (uint64_t)t->average_ms,
             "look for what the handlers wait for", "an attempt takes %" PRId64 " ms on average", average(&s->ran));
    if (ready && s->paused)
        find(j, JOBQ_FINDING_PAUSED, JOBQ_SEVERITY_WARNING, ready, 0, "resume the queue",
             "the queue is paused while %" PRIu64 " %s ready", ready, word(ready, "job is", "jobs are"));
    else if (ready && !has_worker(stats, s->queue))
        find(j, JOBQ_FINDING_NO_WORKER, JOBQ_SEVERITY_CRITICAL, ready, 0, "start a worker for the queue",
             "%" PRIu64 " %s ready and no living worker has the queue", ready, word(ready, "job is", "jobs are"));
}

/* Those that run now: how many for too long, how many for the last time. */
static void judge_running(struct judge *j, const struct jobq_jobs *running, const struct jobq_thresholds *t)
{
    uint64_t slow = 0, last = 0;

    for (size_t i = 0; i < running->count; i++) {
        const struct jobq_job *job = &running->jobs[i];
        if (strcmp(job->queue, j->queue) != 0)
            continue;
        slow += running->now_ms - job->started_at_ms > t->running_ms;
        last += job->max_attempts > 1 && job->failures + 1 >= job->max_attempts;
    }
    if (slow)
        find(j, JOBQ_FINDING_LONG, JOBQ_SEVERITY_WARNING, slow, (uint64_t)t->running_ms,
             "see what they do, or give such jobs a timeout", "%" PRIu64 " %s for longer than %" PRId64 " ms", slow,
             word(slow, "job runs", "jobs run"), t->running_ms);
    if (last)
        find(j, JOBQ_FINDING_LAST_ATTEMPT, JOBQ_SEVERITY_WARNING, last, 0, "see their errors before they are dead",
             "%" PRIu64 " %s for the last time: one more failure and %s dead", last, word(last, "job runs", "jobs run"),
             word(last, "it is", "they are"));
}

static void add_figures(struct jobq_health *h, const struct jobq_queue_stats *s, uint64_t *waits, uint64_t *runs)
{
    h->total += total(s);
    h->pending += pending(s);
    h->processing += s->present[JOBQ_RUNNING];
    h->completed += s->present[JOBQ_COMPLETED];
    h->failed += s->present[JOBQ_DEAD];
    h->stuck += s->stuck;
    h->average_wait_ms = jobq_add_ms(h->average_wait_ms, s->waited.total_ms);
    h->average_ms = jobq_add_ms(h->average_ms, s->ran.total_ms);
    *waits += s->waited.count;
    *runs += s->ran.count;
    if (s->last_finished_at_ms > h->last_finished_at_ms)
        h->last_finished_at_ms = s->last_finished_at_ms;
}

int health_judge(struct jobq_arena *arena, const struct jobq_stats *stats, const struct jobq_jobs *running,
                 const int64_t *dead_kept, const struct jobq_thresholds *thresholds, struct jobq_health *out)
{
    size_t room = stats->queue_count * FINDINGS_PER_QUEUE;
    struct judge j = { .arena = arena, .health = out, .room = room };
    uint64_t waits = 0, runs = 0;

    *out = (struct jobq_health){ .size = sizeof *out, .status = JOBQ_SEVERITY_NONE, .now_ms = stats->now_ms };
    j.findings = jobq_arena_alloc(arena, (room ? room : 1) * sizeof *j.findings);
    if (!j.findings)
        return -1;
    out->findings = j.findings;
    for (size_t i = 0; i < stats->queue_count; i++) {
        const struct jobq_queue_stats *s = &stats->queues[i];
        j.queue = jobq_arena_text(arena, s->queue, strlen(s->queue));
        if (!j.queue)
            return -1;
        judge_counts(&j, s, thresholds);
        judge_retention(&j, s, dead_kept[i], thresholds);
        judge_service(&j, stats, s, thresholds);
        judge_running(&j, running, thresholds);
        add_figures(out, s, &waits, &runs);
    }
    out->error_rate = out->total ? (double)out->failed / (double)out->total : 0;
    out->average_wait_ms = waits ? out->average_wait_ms / (int64_t)waits : 0;
    out->average_ms = runs ? out->average_ms / (int64_t)runs : 0;
    return j.failed ? -1 : 0;
}

/* ---- asking the store ----------------------------------------------------------------------------------------------------- */

static int read_thresholds(const struct jobq_thresholds *given, struct jobq_thresholds *out)
{
    const struct jobq_thresholds defaults = { .size = sizeof defaults, .error_percent = 5, .pending_max = 1000,
                                              .stuck_max = 10, .stuck_critical = 5, .average_ms = 10000,
                                              .running_ms = 600000, .retention_percent = 80 };
    int rc;

    *out = defaults;
    if (!given)
        return JOBQ_OK;
    rc = read_struct("thresholds", given, given->size, sizeof given->size, out, sizeof *out);
    if (rc != JOBQ_OK)
        return rc;
    out->error_percent = out->error_percent ? out->error_percent : defaults.error_percent;
    out->pending_max = out->pending_max ? out->pending_max : defaults.pending_max;
    out->stuck_max = out->stuck_max ? out->stuck_max : defaults.stuck_max;
    out->stuck_critical = out->stuck_critical ? out->stuck_critical : defaults.stuck_critical;
    out->average_ms = out->average_ms ? out->average_ms : defaults.average_ms;
    out->running_ms = out->running_ms ? out->running_ms : defaults.running_ms;
    out->retention_percent = out->retention_percent ? out->retention_percent : defaults.retention_percent;
    rc = check_range("error_percent", out->error_percent, 1, 100);
    if (rc == JOBQ_OK)
        rc = check_range("retention_percent", out->retention_percent, 1, 100);
    if (rc == JOBQ_OK)
        rc = check_range("average_ms", out->average_ms, 1, MAX_MS);
    return rc == JOBQ_OK ? check_range("running_ms", out->running_ms, 1, MAX_MS) : rc;
}

int jobq_health(struct jobq *q, const char *queue, const struct jobq_thresholds *thresholds, struct jobq_health **out)
{
    struct jobq_filter filter = { .size = sizeof filter, .queue = queue, .states = 1u << JOBQ_RUNNING,
                                  .limit = RUNNING_READ };
    struct jobq_thresholds limits;
    struct jobq_stats *stats = NULL;
    struct jobq_jobs *running = NULL;
    struct health_owner *owner = NULL;
    int rc = read_thresholds(thresholds, &limits);

    *out = NULL;
    if (rc == JOBQ_OK)
        rc = jobq_stats(q, queue, &stats);
    if (rc == JOBQ_OK)
        rc = list_bare(q, &filter, &running);
    int64_t *kept = rc == JOBQ_OK ? calloc(stats->queue_count + 1, sizeof *kept) : NULL;
    if (rc == JOBQ_OK && kept)
        rc = keep_of_state(q, stats, JOBQ_ROW_DEAD, kept);
    if (rc != JOBQ_OK)
        goto done;
    owner = calloc(1, sizeof *owner);
    if (!kept || !owner || !(owner->arena = jobq_arena_create()) ||
        health_judge(owner->arena, stats, running, kept, &limits, &owner->health) != 0) {
        rc = fail_with(JOBQ_NOMEM, NULL, "out of memory for the health");
        jobq_health_free(owner ? &owner->health : NULL);
        goto done;
    }
    *out = &owner->health;
done:
    free(kept);
    jobq_jobs_free(running);
    jobq_stats_free(stats);
    return rc;
}

void jobq_health_free(struct jobq_health *health)
{
    struct health_owner *owner = (struct health_owner *)(void *)health;

    if (!owner)
        return;
    jobq_arena_destroy(owner->arena);
    free(owner);
}
