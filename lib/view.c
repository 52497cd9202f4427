/* SPDX-License-Identifier: MIT */
/* Stored rows to jobs as they are shown. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct jobq_bytes bytes_of(const char *text)
{
    return (struct jobq_bytes){ text, text ? strlen(text) : 0 };
}

static const char *text_of(struct jobq_arena *arena, const struct jobq_bytes *bytes)
{
    return bytes->data ? jobq_arena_text(arena, bytes->data, bytes->size) : "";
}

static const char *name_of(struct jobq_arena *arena, const struct jobq_bytes *bytes, struct shown_name *last)
{
    if (!bytes->data)
        return "";
    if (last->text && last->bytes.size == bytes->size && memcmp(last->bytes.data, bytes->data, bytes->size) == 0)
        return last->text;
    *last = (struct shown_name){ *bytes, jobq_arena_text(arena, bytes->data, bytes->size) };
    return last->text;
}

static int view_errors(struct jobq_arena *arena, const struct jobq_row *row, struct jobq_job *out)
{
    struct jobq_failure_entry *log;

    if (row->error_count == 0)
        return 0;
    log = jobq_arena_alloc(arena, row->error_count * sizeof *log);
    if (!log)
        return -1;
    for (size_t i = 0; i < row->error_count; i++) {
        const struct jobq_row_error *e = &row->errors[i];
        log[i] = (struct jobq_failure_entry){ e->attempt, e->kind, e->at_ms, text_of(arena, &e->worker), e->text };
        if (!log[i].worker)
            return -1;
    }
    out->failures_log = log;
    out->failures_log_count = row->error_count;
    return 0;
}

static int view_log(struct jobq_arena *arena, const struct jobq_row *row, struct jobq_job *out)
{
    struct jobq_log_line *log;

    if (row->log_count == 0)
        return 0;
    log = jobq_arena_alloc(arena, row->log_count * sizeof *log);
    if (!log)
        return -1;
    for (size_t i = 0; i < row->log_count; i++) {
        const struct jobq_row_error *e = &row->log[i];
        log[i] = (struct jobq_log_line){ .attempt = e->attempt, .at_ms = e->at_ms,
                                         .worker = text_of(arena, &e->worker), .text = e->text };
        if (!log[i].worker)
            return -1;
    }
    out->log = log;
    out->log_count = row->log_count;
    return 0;
}

static void view_numbers(const struct jobq_row *row, int64_t now_ms, struct jobq_job *out)
{
    bool running = row->state == JOBQ_ROW_RUNNING;

    out->state = jobq_shown_state(row->state, row->run_at_ms, now_ms);
    out->reason = row->reason;
    out->priority = row->priority;
    out->attempt = row->attempt < INT32_MAX ? (int32_t)row->attempt : INT32_MAX;
    out->failures = row->failures;
    out->crashes = row->crashes;
    out->snoozes = row->snoozes;
    out->releases = row->releases;
    out->redrives = row->redrives;
    out->cancel_asked = row->cancel_asked;
    out->stuck = running && row->lease_until_ms <= now_ms;
    out->pending_parents = (int32_t)row->pending;
    out->edits = row->edits;
    out->created_at_ms = row->created_at_ms;
    out->run_at_ms = row->run_at_ms;
    out->started_at_ms = row->started_at_ms;
    out->finished_at_ms = row->finished_at_ms;
    out->lease_until_ms = row->lease_until_ms;
    out->stop_at_ms = row->stop_at_ms;
    out->expires_at_ms = row->expires_at_ms;
    out->callback_until_ms = row->state == JOBQ_ROW_BLOCKED ? row->callback_until_ms : 0;
    out->timeout_ms = row->timeout_ms;
}

static void view_policy(const struct jobq_row *row, struct jobq_job *out)
{
    struct job_policy p;

    if (!job_policy_read(row->policy, &p)) { /* shown as what the next judgement makes of it; the bytes stay */
        job_policy_default(&p);
        if (row->state < JOBQ_ROW_RUNNING) {
            out->state = JOBQ_DEAD;
            out->reason = JOBQ_REASON_UNDECODABLE;
        }
    }
    out->max_attempts = p.max_attempts;
    out->max_crashes = p.max_crashes;
    out->max_snoozes = p.max_snoozes;
    out->max_releases = p.max_releases;
}

int job_view(struct jobq_arena *arena, const struct jobq_row *row, int64_t now_ms, struct shown_names *names,
             struct jobq_job *out)
{
    *out = (struct jobq_job){ .size = sizeof *out, .id = row->id, .token = row->token, .fence = row->fence };
    view_numbers(row, now_ms, out);
    view_policy(row, out);
    out->queue = name_of(arena, &row->queue, &names->queue);
    out->kind = name_of(arena, &row->kind, &names->kind);
    out->group = name_of(arena, &row->group, &names->group);
    out->worker = name_of(arena, &row->worker, &names->worker);
    out->trace = text_of(arena, &row->trace);
    out->payload = row->payload;
    out->key = row->key;
    out->result = row->result;
    out->progress = row->progress;
    out->data = row->data;
    if (!out->queue || !out->kind || !out->group || !out->worker || !out->trace)
        return -1;
    return view_errors(arena, row, out) != 0 ? -1 : view_log(arena, row, out);
}

int jobs_make(struct jobq_arena *arena, const struct jobq_row *rows, size_t count, int64_t now_ms,
              struct jobq_jobs **out)
{
    struct shown_names names = { 0 };
    struct jobs_owner *owner = malloc(sizeof *owner);
    struct jobq_job *jobs = jobq_arena_alloc(arena, (count ? count : 1) * sizeof *jobs);

    if (!owner || !jobs)
        goto no_memory;
    for (size_t i = 0; i < count; i++)
        if (job_view(arena, &rows[i], now_ms, &names, &jobs[i]) != 0)
            goto no_memory;
    *owner = (struct jobs_owner){ { sizeof owner->jobs, count, jobs, now_ms }, arena };
    *out = &owner->jobs;
    return JOBQ_OK;
no_memory:
    free(owner);
    jobq_arena_destroy(arena);
    return fail_with(JOBQ_NOMEM, NULL, "out of memory for the answer");
}

void jobs_keep_accepted(struct jobq_jobs *jobs, const struct jobq_change *changes)
{
    struct jobq_job *all = (struct jobq_job *)(uintptr_t)jobs->jobs;
    size_t kept = 0;

    for (size_t i = 0; i < jobs->count; i++)
        if (changes[i].verdict == JOBQ_OK || changes[i].verdict == JOBQ_ALREADY)
            all[kept++] = all[i];
    jobs->count = kept;
}

void jobq_jobs_free(struct jobq_jobs *jobs)
{
    struct jobs_owner *owner = (struct jobs_owner *)(void *)jobs;

    if (!owner)
        return;
    jobq_arena_destroy(owner->arena);
    free(owner);
}
