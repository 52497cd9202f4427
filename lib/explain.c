/* SPDX-License-Identifier: MIT */
/* Why is this job not running? One answer, the first thing that stands in its way, with the fact behind it. */
#include "internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How many ready rows are looked at to say how many go first. */
#define AHEAD_PAGE 1000
#define AHEAD_PAGES 10

static void say(struct jobq_explanation *out, int why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct jobq_explanation *out, int why, const char *format, ...)
{
    va_list args;

    out->why = why;
    va_start(args, format);
    vsnprintf(out->text, sizeof out->text, format, args);
    va_end(args);
}

static void name_who(struct jobq_explanation *out, const char *who)
{
    snprintf(out->who, sizeof out->who, "%s", who);
}

/* ---- workers ---------------------------------------------------------------------------------------------------------- */

bool name_listed(const char *list, const char *name)
{
    size_t size = strlen(name);

    for (const char *at = list; (at = strstr(at, name)) != NULL; at++)
        if ((at == list || at[-1] == ',') && (at[size] == '\0' || at[size] == ','))
            return true;
    return false;
}

bool worker_alive(const struct jobq_worker_stats *w, int64_t now_ms)
{
    return now_ms - w->seen_at_ms <= 3 * w->lease_ms && !w->stop_asked;
}

/* How many workers have the queue, and how many of these the kind. */
static void count_workers(const struct explain_facts *f, size_t *queue, size_t *kind)
{
    *queue = *kind = 0;
    for (size_t i = 0; i < f->worker_count; i++) {
        const struct jobq_worker_stats *w = &f->workers[i];

        if (!worker_alive(w, f->now_ms) || !name_listed(w->queues, f->job->queue))
            continue;
        *queue += 1;
        *kind += w->kinds[0] == '\0' || name_listed(w->kinds, f->job->kind);
    }
}

/* ---- the answer, as a pure function -------------------------------------------------------------------------------------- */

static void explain_ended(const struct explain_facts *f, struct jobq_explanation *out)
{
    const struct jobq_job *job = f->job;

    if (job->state == JOBQ_COMPLETED)
        say(out, JOBQ_WHY_COMPLETED, "it has completed");
    else if (job->state == JOBQ_CANCELLED)
        say(out, JOBQ_WHY_CANCELLED, "it was cancelled");
    else
        say(out, JOBQ_WHY_DEAD, "it is dead: %s, after %" PRId32 " attempts, %" PRId32 " failures, %" PRId32 " crashes",
            jobq_reason_name(job->reason), job->attempt, job->failures, job->crashes);
}

static void explain_running(const struct explain_facts *f, struct jobq_explanation *out)
{
    const struct jobq_job *job = f->job;

    name_who(out, job->worker);
    out->until_ms = job->lease_until_ms;
    if (job->stuck)
        say(out, JOBQ_WHY_STUCK, "the lease of %s has run out; the next sweep takes it back", job->worker);
    else
        say(out, JOBQ_WHY_RUNNING, "%s runs it, attempt %" PRId32, job->worker, job->attempt);
}

static void explain_blocked(const struct explain_facts *f, struct jobq_explanation *out)
{
    const struct jobq_job *job = f->job;
    char id[33];

    out->until_ms = job->callback_until_ms;
    if (job->reason == JOBQ_REASON_CALLBACK) {
        say(out, JOBQ_WHY_PARKED, "it is parked until its callback comes");
    } else if (job->pending_parents > 0) {
        out->count = (uint64_t)job->pending_parents;
        out->until_ms = 0;
        jobq_id_format(&f->parent, id);
        out->job = f->parent;
        say(out, JOBQ_WHY_DEPENDENCY, "it waits for %" PRId32 " %s; one is %s (%s)", job->pending_parents,
            job->pending_parents == 1 ? "job" : "jobs", id, jobq_state_name(f->parent_state));
    } else {
        say(out, JOBQ_WHY_HELD, "it is held");
    }
}

static void say_limit(struct jobq_explanation *out, int why, const char *who, const struct explain_limit *limit,
                      const char *where)
{
    name_who(out, who);
    out->count = (uint64_t)limit->running;
    say(out, why, "%s runs %" PRId64 " of %" PRId64 " jobs that it may run at once%s", who, limit->running, limit->most, where);
}

static void say_rate(struct jobq_explanation *out, int why, const char *who, int64_t until_ms)
{
    name_who(out, who);
    out->until_ms = until_ms;
    say(out, why, "%s has used up its starts for now", who);
}

/* Is it a limit that stands in its way? */
static bool explain_limited(const struct explain_facts *f, struct jobq_explanation *out)
{
    const char *queue = f->job->queue, *group = f->job->group;

    if (f->queue_limit.full)
        say_limit(out, JOBQ_WHY_LIMIT_QUEUE, queue, &f->queue_limit, "");
    else if (f->lane_limit.full)
        say_limit(out, JOBQ_WHY_LIMIT_QUEUE_GROUP, group, &f->lane_limit, " in this queue");
    else if (f->group_limit.full)
        say_limit(out, JOBQ_WHY_LIMIT_GROUP, group, &f->group_limit, " in all queues");
    else if (f->queue_rate_ms > 0)
        say_rate(out, JOBQ_WHY_RATE_QUEUE, queue, jobq_add_ms(f->now_ms, f->queue_rate_ms));
    else if (f->group_rate_ms > 0)
        say_rate(out, JOBQ_WHY_RATE_GROUP, group, jobq_add_ms(f->now_ms, f->group_rate_ms));
    else
        return false;
    return true;
}

static void explain_waiting(const struct explain_facts *f, struct jobq_explanation *out)
{
    const struct jobq_job *job = f->job;
    size_t queue, kind;

    count_workers(f, &queue, &kind);
    if (job->state == JOBQ_SCHEDULED) {
        out->until_ms = job->run_at_ms;
        say(out, JOBQ_WHY_NOT_DUE, "it is not due%s", job->failures ? ": it waits for its next attempt" : "");
    } else if (f->paused) {
        name_who(out, job->queue);
        say(out, JOBQ_WHY_PAUSED, "the queue %s is paused", job->queue);
    } else if (queue == 0) {
        name_who(out, job->queue);
        say(out, JOBQ_WHY_NO_WORKER, "no living worker has the queue %s", job->queue);
    } else if (kind == 0) {
        name_who(out, job->kind);
        out->count = queue;
        say(out, JOBQ_WHY_KIND, "of %zu %s with the queue %s none takes the kind %s", queue,
            queue == 1 ? "worker" : "workers", job->queue, job->kind);
    } else if (explain_limited(f, out)) {
        return;
    } else if (f->ahead > 0) {
        out->count = f->ahead;
        out->at_least = f->ahead_at_least;
        say(out, JOBQ_WHY_BEHIND, "%s%" PRIu64 " %s before it", f->ahead_at_least ? "at least " : "", f->ahead,
            f->ahead == 1 ? "job goes" : "jobs go");
    } else if (f->alone) {
        say(out, JOBQ_WHY_ALONE, "it was lost by its workers before and waits for one that holds nothing else");
    } else {
        say(out, JOBQ_WHY_NEXT, "nothing is in its way: the next claim takes it");
    }
}

void explain_job(const struct explain_facts *f, struct jobq_explanation *out)
{
    const struct jobq_job *job = f->job;

    *out = (struct jobq_explanation){ .size = sizeof *out };
    if (job->state >= JOBQ_COMPLETED)
        explain_ended(f, out);
    else if (job->state == JOBQ_RUNNING)
        explain_running(f, out);
    else if (job->expires_at_ms && job->expires_at_ms <= f->now_ms)
        say(out, JOBQ_WHY_EXPIRED, "it was to start earlier and has expired; the next sweep ends it");
    else if (job->state == JOBQ_BLOCKED)
        explain_blocked(f, out);
    else
        explain_waiting(f, out);
}

/* ---- gathering the facts ----------------------------------------------------------------------------------------------------- */

static bool goes_before(const struct jobq_row *a, const struct jobq_row *b)
{
    int64_t ra = jobq_add_ms(a->run_at_ms, a->rank_add_ms), rb = jobq_add_ms(b->run_at_ms, b->rank_add_ms);

    return ra != rb ? ra < rb : memcmp(&a->id, &b->id, sizeof a->id) < 0;
}

/* Ready rows of the same queue and group that a claim would take first. */
static int count_ahead(struct jobq *q, const struct jobq_row *row, struct explain_facts *f)
{
    struct jobq_query query = { .size = sizeof query, .queue = row->queue, .group = row->group,
                                .states = 1u << JOBQ_READY, .limit = AHEAD_PAGE };
    int rc = JOBQ_OK;

    f->ahead_at_least = true;
    for (int page = 0; rc == JOBQ_OK && page < AHEAD_PAGES && f->ahead_at_least; page++) {
        struct jobq_arena *arena = jobq_arena_create();

        rc = read_rows(q, &query, arena);
        for (size_t i = 0; rc == JOBQ_OK && i < query.row_count; i++)
            f->ahead += goes_before(&query.rows[i], row);
        f->ahead_at_least = rc == JOBQ_OK && query.row_count > 0;
        if (f->ahead_at_least)
            query.after = query.rows[query.row_count - 1].id;
        jobq_arena_destroy(arena);
    }
    return rc;
}

static void find_parent(const struct jobq_row *row, int64_t now_ms, struct explain_facts *f)
{
    for (size_t i = 0; i < row->parent_count; i++) {
        const struct jobq_edge *edge = &row->parents[i];

        if (edge->state == JOBQ_ROW_COMPLETED || edge->state == JOBQ_ROW_GONE)
            continue;
        f->parent = edge->id;
        f->parent_state = jobq_shown_state(edge->state, now_ms, now_ms);
        return;
    }
}

static int explain_row(struct jobq *q, struct jobq_arena *arena, const struct jobq_row *row, int64_t now_ms,
                       struct jobq_explanation *out)
{
    struct shown_names names = { 0 };
    struct jobq_job job;
    struct explain_facts f = { .job = &job, .now_ms = now_ms, .alone = row->alone };
    struct jobq_stats *stats = NULL;
    int rc;

    if (job_view(arena, row, now_ms, &names, &job) != 0)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for the answer");
    rc = jobq_stats(q, job.queue, &stats);
    if (rc != JOBQ_OK)
        return rc;
    f.paused = stats->queue_count > 0 && stats->queues[0].paused;
    f.workers = stats->workers;
    f.worker_count = stats->worker_count;
    find_parent(row, now_ms, &f);
    rc = explain_limits(q, &f);
    explain_job(&f, out);
    if (rc == JOBQ_OK && (out->why == JOBQ_WHY_NEXT || out->why == JOBQ_WHY_ALONE)) {
        rc = count_ahead(q, row, &f);
        explain_job(&f, out);
    }
    jobq_stats_free(stats);
    return rc;
}

int jobq_explain(struct jobq *q, const struct jobq_id *id, struct jobq_explanation *out)
{
    struct jobq_query query = { .size = sizeof query, .ids = id, .id_count = 1, .limit = 1,
                                .flags = JOBQ_READ_PARENTS };
    struct jobq_explanation made;
    struct jobq_arena *arena;
    int rc = handle_check(q);

    if (rc == JOBQ_OK && (!id || !out))
        rc = fail_with(JOBQ_INVALID, id ? "out" : "id", "%s: is NULL", id ? "out" : "id");
    if (rc == JOBQ_OK)
        rc = check_struct("jobq_explanation", out->size, sizeof *out);
    if (rc != JOBQ_OK)
        return rc;
    arena = jobq_arena_create();
    rc = read_rows(q, &query, arena);
    if (rc == JOBQ_OK && query.row_count == 0)
        rc = fail_with(JOBQ_NOT_FOUND, "id", "no such job");
    if (rc == JOBQ_OK)
        rc = explain_row(q, arena, query.rows, query.now_ms, &made);
    jobq_arena_destroy(arena);
    if (rc == JOBQ_OK)
        *out = made;
    return rc;
}
