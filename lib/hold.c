/* SPDX-License-Identifier: MIT */
/* The jobs in hand: how they come out of an answer, stay held, get lost, and are forgotten. */
#include "worker.h"

#include <stdlib.h>
#include <string.h>

/* ---- answers that are still needed -------------------------------------------------------------------- */

struct answer *answer_create(void)
{
    struct answer *answer = malloc(sizeof *answer);

    if (!answer)
        return NULL;
    *answer = (struct answer){ .call = call_create(), .users = 1 };
    if (!answer->call) {
        free(answer);
        return NULL;
    }
    return answer;
}

void answer_drop(struct answer *answer)
{
    if (!answer || --answer->users > 0)
        return;
    call_unref(answer->call);
    free(answer);
}

/* ---- out of an answer --------------------------------------------------------------------------------- */

int claim_reserve(struct jobq_worker *w, size_t limit)
{
    struct claim *room;

    if (w->spare && w->spare_room >= limit)
        return 0;
    room = malloc(sizeof *room + limit * sizeof room->jobs[0]);
    if (!room)
        return -1;
    free(w->spare);
    w->spare = room;
    w->spare_room = limit;
    return 0;
}

static int64_t local_time(int64_t store_ms, int64_t store_now_ms, int64_t now_ms)
{
    return store_ms ? jobq_add_ms(now_ms, store_ms - store_now_ms) : NEVER;
}

static void job_begin(struct jobq_worker *w, struct claim *claim, const struct jobq_row *row, int64_t now,
                      struct shown_names *names, struct jobq_ctx *job)
{
    const struct handler_entry *handler = worker_handler(w, row->kind);
    struct call *call = claim->answer->call;

    memset(job, 0, offsetof(struct jobq_ctx, row));
    job->worker = w;
    job->claim = claim;
    job->row = *row;
    job->stop_ms = local_time(row->stop_at_ms, call->now_ms, now);
    atomic_init(&job->flags, row->cancel_asked ? JOBQ_CTX_CANCEL : 0);
    if (handler && job_view(call->arena, row, call->now_ms, names, &job->job) == 0) {
        job->handler = handler->fn;
        job->user = handler->user;
        return;
    }
    /* No memory for the view: back to its place, at no cost. */
    job->stage = JOB_FINISHED;
    job->outcome = JOBQ_RELEASE;
}

/* In order: to the pool, or first to the store for their early ack. */
static void jobs_start(struct jobq_worker *w, struct claim *claim)
{
    struct jobq_ctx *list = NULL, **end = &list;

    for (size_t i = 0; i < claim->count; i++) {
        struct jobq_ctx *job = &claim->jobs[i];
        if (job->stage == JOB_FINISHED) {
            jobs_append(&w->handin, job);
            continue;
        }
        *end = job;
        end = &job->next;
    }
    if (w->flags & JOBQ_WORKER_ACK_EARLY)
        jobs_append(&w->early, list);
    else
        pool_give(w, list);
}

static struct claim *claim_make(struct jobq_worker *w, struct answer *answer, const struct jobq_want *want,
                                size_t count)
{
    struct shown_names names = { 0 };
    int64_t now = worker_now(w);
    struct claim *claim = w->spare, *fit = realloc(claim, sizeof *claim + count * sizeof claim->jobs[0]);

    if (fit)
        claim = fit;
    w->spare = NULL;
    w->spare_room = 0;
    claim->answer = answer;
    answer->users++;
    claim->token = want->token;
    claim->shared = false;
    claim->open = claim->count = 0;
    for (size_t i = 0; i < want->row_count; i++)
        if (count == want->row_count || !row_is_judged(&want->rows[i]))
            job_begin(w, claim, &want->rows[i], now, &names, &claim->jobs[claim->count++]);
    claim->open = claim->count;
    claim->next = w->claims;
    w->claims = claim;
    return claim;
}

/* Heartbeats every third of the lease; and as soon as a timeout passes, because then the handler is to be
 * told. */
static void claim_schedule(struct jobq_worker *w, struct claim *claim, int64_t sent_ms)
{
    atomic_store(&claim->lease_end_ms, jobq_add_ms(sent_ms, w->lease_ms));
    claim->beat_ms = jobq_add_ms(sent_ms, w->lease_ms / 3);
    for (size_t i = 0; i < claim->count; i++) {
        const struct jobq_ctx *job = &claim->jobs[i];
        if (!job->over && !(atomic_load(&job->flags) & JOBQ_CTX_TIMEOUT) && job->stop_ms < claim->beat_ms)
            claim->beat_ms = job->stop_ms;
    }
}

size_t claim_take(struct jobq_worker *w, struct answer *answer, const struct jobq_want *want, int64_t sent_ms)
{
    struct claim *claim;
    size_t count = 0;

    for (size_t i = 0; i < want->row_count; i++)
        count += !row_is_judged(&want->rows[i]);
    if (count == 0)
        return 0;
    claim = claim_make(w, answer, want, count);
    claim_schedule(w, claim, sent_ms);
    crew_took(w, count);
    if (want->mode == JOBQ_WANT_ALONE)
        w->alone = &claim->jobs[0];
    jobs_start(w, claim);
    return count;
}

/* ---- held --------------------------------------------------------------------------------------------- */

static bool is_held(const struct jobq_ctx *job)
{
    return !job->over && !job->lost && !job->acked;
}

size_t claim_expected(const struct claim *claim)
{
    size_t expected = 0;

    for (size_t i = 0; i < claim->count; i++)
        expected += is_held(&claim->jobs[i]);
    return expected;
}

static struct jobq_ctx *job_of_row(struct claim *claim, const struct jobq_row *row)
{
    for (size_t i = 0; i < claim->count; i++)
        if (memcmp(&claim->jobs[i].row.id, &row->id, sizeof row->id) == 0)
            return &claim->jobs[i];
    return NULL;
}

static void mark(struct claim *claim, const struct jobq_row *row, int64_t store_now_ms)
{
    struct jobq_ctx *job = job_of_row(claim, row);

    if (!job)
        return;
    if (row->cancel_asked)
        atomic_fetch_or(&job->flags, JOBQ_CTX_CANCEL);
    if (row->stop_at_ms && row->stop_at_ms <= store_now_ms)
        atomic_fetch_or(&job->flags, JOBQ_CTX_TIMEOUT);
}

void claim_beaten(struct jobq_worker *w, struct claim *claim, const struct jobq_beat *beat, int64_t sent_ms,
                  int64_t store_now_ms)
{
    for (size_t i = 0; i < beat->mark_count; i++)
        mark(claim, &beat->marks[i], store_now_ms);
    claim_schedule(w, claim, sent_ms);
}

void beats_schedule(struct jobq_worker *w)
{
    w->beat_at_ms = NEVER;
    for (const struct claim *claim = w->claims; claim; claim = claim->next)
        if (claim->beat_ms < w->beat_at_ms && claim_expected(claim) > 0)
            w->beat_at_ms = claim->beat_ms;
}

/* ---- lost --------------------------------------------------------------------------------------------- */

void job_lost(struct jobq_worker *w, struct jobq_ctx *job)
{
    if (job->lost)
        return;
    job->lost = true;
    atomic_fetch_or(&job->flags, JOBQ_CTX_LOST);
    pthread_mutex_lock(&w->pool.lock);
    w->counts.lost++;
    pthread_mutex_unlock(&w->pool.lock);
    if (pool_take_job(w, job))
        job_over(w, job);
}

/* Only jobs about which nothing was said: what was said may have been accepted without our knowing it, and
 * then the row looks as if it had been lost. The verdict will tell. */
static bool is_unspoken(struct jobq_worker *w, const struct jobq_ctx *job)
{
    bool unspoken;

    pthread_mutex_lock(&w->pool.lock);
    unspoken = job->stage == JOB_QUEUED || job->stage == JOB_RUNNING;
    pthread_mutex_unlock(&w->pool.lock);
    return unspoken && is_held(job);
}

static bool still_ours(const struct jobq_query *query, const struct jobq_ctx *job)
{
    for (size_t i = 0; i < query->row_count; i++) {
        const struct jobq_row *row = &query->rows[i];
        if (memcmp(&row->id, &job->row.id, sizeof row->id) == 0)
            return row->state == JOBQ_ROW_RUNNING && row->outcome == JOBQ_OUTCOME_NONE &&
                   memcmp(&row->token, &job->row.token, sizeof row->token) == 0;
    }
    return false;
}

void claim_verify(struct jobq_worker *w, struct claim *claim)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_id *ids = arena ? jobq_arena_alloc(arena, claim->count * sizeof *ids) : NULL;
    struct jobq_ctx **jobs = ids ? jobq_arena_alloc(arena, claim->count * sizeof *jobs) : NULL;
    struct jobq_query query = { .size = sizeof query, .ids = ids, .limit = claim->count };

    for (size_t i = 0; jobs && i < claim->count; i++)
        if (is_unspoken(w, &claim->jobs[i])) {
            jobs[query.id_count] = &claim->jobs[i];
            ids[query.id_count++] = claim->jobs[i].row.id;
        }
    size_t count = query.id_count;
    /* Without an answer nothing is known; the next heartbeat asks again. A claim may vanish with its last
     * job. */
    if (count && read_rows(w->q, &query, arena) == JOBQ_OK)
        for (size_t i = 0; i < count; i++)
            if (!still_ours(&query, jobs[i]))
                job_lost(w, jobs[i]);
    jobq_arena_destroy(arena);
}

/* ---- over --------------------------------------------------------------------------------------------- */

static void claim_free(struct jobq_worker *w, struct claim *claim)
{
    struct claim **at = &w->claims;

    while (*at != claim)
        at = &(*at)->next;
    *at = claim->next;
    answer_drop(claim->answer);
    free(claim);
}

/* What it owns, and its place in its claim. */
static void job_free(struct jobq_worker *w, struct jobq_ctx *job)
{
    struct claim *claim = job->claim;

    free((void *)(uintptr_t)job->result.data);
    free((void *)(uintptr_t)job->error.data);
    free(job->progress);
    job_log_drop(job, job->log_count);
    free(job->log);
    free(job->puts);
    jobq_arena_destroy(job->arena);
    answer_drop(job->fresh);
    job->over = true;
    if (w->alone == job)
        w->alone = NULL;
    if (--claim->open == 0)
        claim_free(w, claim);
}

void job_over(struct jobq_worker *w, struct jobq_ctx *job)
{
    job_free(w, job);
    crew_dropped(w, 1);
}

void jobs_over(struct jobq_worker *w, struct jobq_ctx **list)
{
    size_t count = 0;

    while (*list) {
        struct jobq_ctx *job = *list;
        if (job->over) {
            *list = job->next;
            job_free(w, job);
            count++;
        } else {
            list = &job->next;
        }
    }
    if (count)
        crew_dropped(w, count);
}

void jobs_flag(struct jobq_worker *w, uint32_t flag)
{
    for (struct claim *claim = w->claims; claim; claim = claim->next)
        for (size_t i = 0; i < claim->count; i++)
            atomic_fetch_or(&claim->jobs[i].flags, flag);
}

void jobs_append(struct jobq_ctx **list, struct jobq_ctx *more)
{
    while (*list)
        list = &(*list)->next;
    *list = more;
}
