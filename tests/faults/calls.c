/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const work[] = { "work" };

/* ---- preparing: nothing fails here ------------------------------------------------------------------------ */

static struct jobq_spec spec_of(struct world *w, int job)
{
    return (struct jobq_spec){ .size = sizeof(struct jobq_spec), .queue = "work", .payload = { "payload", 7 },
                               .id = &w->ids[job] };
}

static void put(struct world *w, int job)
{
    struct jobq_spec spec = spec_of(w, job);
    world_must(jobq_enqueue(w->q, &spec, NULL), "put");
}

static void have_one(struct world *w)
{
    put(w, 0);
}

static void have_two(struct world *w)
{
    put(w, 0);
    put(w, 1);
}

static void have_held(struct world *w)
{
    struct jobq_spec spec = spec_of(w, 0);
    spec.held = 1;
    world_must(jobq_enqueue(w->q, &spec, NULL), "put held");
}

static int claim_as(struct world *w, size_t limit, int64_t lease_ms)
{
    const struct jobq_claim_options options = { .size = sizeof options, .queues = work, .queue_count = 1, .limit = limit,
                                                .lease_ms = lease_ms, .worker = "w" };
    struct jobq_jobs *jobs;
    int status = jobq_claim(w->q, &options, &jobs);
    if (status != JOBQ_OK)
        return status;
    size_t count = jobs->count;
    for (size_t i = 0; i < count && i < WORLD_JOBS; i++) {
        w->ids[i] = jobs->jobs[i].id;
        w->tokens[i] = jobs->jobs[i].token;
    }
    jobq_jobs_free(jobs);
    return count == limit ? JOBQ_OK : WRONG;
}

static void have_claimed(struct world *w)
{
    put(w, 0);
    world_must(claim_as(w, 1, 3600000), "claim");
}

static void have_callback(struct world *w)
{
    have_claimed(w);
    world_must(jobq_callback_new(w->q, &w->ids[0], &w->tokens[0], &w->callback), "callback");
}

static void have_parked(struct world *w)
{
    have_callback(w);
    world_must(jobq_park(w->q, &w->ids[0], &w->tokens[0], 3600000), "park");
}

static void have_completed(struct world *w)
{
    have_claimed(w);
    world_must(jobq_ack(w->q, &w->ids[0], &w->tokens[0], "result", 6), "ack");
}

static void have_dead(struct world *w)
{
    const struct jobq_failure failure = { .size = sizeof failure, .text = { "broken", 6 }, .permanent = 1 };
    have_claimed(w);
    world_must(jobq_fail(w->q, &w->ids[0], &w->tokens[0], &failure), "fail");
}

static void have_overdue(struct world *w)
{
    put(w, 0);
    world_must(claim_as(w, 1, 100), "claim");
    world_must(jobq_clock_advance(w->q, 1000), "clock");
}

static void have_key(struct world *w)
{
    struct jobq_spec spec = spec_of(w, 1);
    spec.key = (struct jobq_bytes){ "key", 3 };
    world_must(jobq_enqueue(w->q, &spec, NULL), "put with a key");
}

static const struct jobq_spec template = { .size = sizeof template, .queue = "ticks", .payload = { "tick", 4 } };

static struct jobq_schedule schedule_of(const char *cron)
{
    return (struct jobq_schedule){ .size = sizeof(struct jobq_schedule), .name = "s", .cron = cron, .spec = &template };
}

static void have_schedule(struct world *w)
{
    const struct jobq_schedule schedule = schedule_of("0 4 * * *");
    (void)jobq_schedule_remove(w->q, "s");
    world_must(jobq_schedule_add(w->q, &schedule), "schedule");
}

static void have_paused_schedule(struct world *w)
{
    have_schedule(w);
    world_must(jobq_schedule_pause(w->q, "s"), "pause schedule");
}

static void have_no_schedule(struct world *w)
{
    (void)jobq_schedule_remove(w->q, "s");
}

static void have_due_schedule(struct world *w)
{
    have_schedule(w);
    world_must(jobq_clock_advance(w->q, 25 * 3600000), "clock");
}

static void have_events(struct world *w)
{
    world_must(jobq_events_keep(w->q, 20), "keep events");
    have_completed(w);
}

static void have_no_events(struct world *w)
{
    world_must(jobq_events_keep(w->q, 0), "keep no events");
}

struct pen {
    char *data;
    size_t size, at;
};

static int write_pen(void *user, const void *data, size_t bytes)
{
    struct pen *pen = user;
    if (pen->at + bytes > pen->size)
        return -1;
    memcpy(pen->data + pen->at, data, bytes);
    pen->at += bytes;
    return 0;
}

static int64_t read_pen(void *user, void *buffer, size_t room)
{
    struct pen *pen = user;
    size_t bytes = pen->size - pen->at < room ? pen->size - pen->at : room;
    memcpy(buffer, pen->data + pen->at, bytes);
    pen->at += bytes;
    return (int64_t)bytes;
}

/* A copy of two jobs, one of them with a history, that are then gone from the store. */
static void have_copy(struct world *w)
{
    have_dead(w);
    have_key(w);
    free(w->copy);
    w->copy = world_dump(w);
    w->copy_bytes = strlen(w->copy);
    for (int i = 0; i < 2; i++) {
        (void)jobq_cancel(w->q, &w->ids[i], 0);
        world_must(jobq_drop(w->q, &w->ids[i]), "drop");
    }
}

/* ---- the calls ------------------------------------------------------------------------------------------------ */

static int run_open(struct world *w)
{
    struct jobq *q;
    int status = jobq_open(&q, w->backend, w->uri, &w->options);
    if (status == JOBQ_OK)
        jobq_close(q);
    return q && status != JOBQ_OK ? WRONG : status;
}

static int run_enqueue(struct world *w)
{
    struct jobq_spec spec = spec_of(w, 0);
    struct jobq_enqueued out = { .size = sizeof out };
    return jobq_enqueue(w->q, &spec, &out);
}

static int run_enqueue_rich(struct world *w)
{
    static const int64_t list[] = { 1000, 5000 };
    const struct jobq_backoff backoff = { .size = sizeof backoff, .kind = JOBQ_BACKOFF_LIST, .list_count = 2,
                                          .list_ms = list };
    const struct jobq_parent parent = { .id = w->ids[1] };
    struct jobq_spec spec = spec_of(w, 0);
    spec.kind = "kind";
    spec.group = "tenant";
    spec.key = (struct jobq_bytes){ "another", 7 };
    spec.backoff = &backoff;
    spec.parents = &parent;
    spec.parent_count = 1;
    spec.trace = "00-trace";
    return jobq_enqueue(w->q, &spec, NULL);
}

static int run_enqueue_as(struct world *w, int conflict)
{
    struct jobq_spec spec = spec_of(w, 0);
    struct jobq_enqueued out = { .size = sizeof out };
    spec.key = (struct jobq_bytes){ "key", 3 };
    spec.key_conflict = conflict;
    spec.payload = (struct jobq_bytes){ "other", 5 };
    return jobq_enqueue(w->q, &spec, &out);
}

static int run_duplicate(struct world *w)
{
    return run_enqueue_as(w, JOBQ_CONFLICT_RETURN);
}

static int run_replace(struct world *w)
{
    return run_enqueue_as(w, JOBQ_CONFLICT_REPLACE);
}

static int run_successor(struct world *w)
{
    return run_enqueue_as(w, JOBQ_CONFLICT_SUCCESSOR);
}

static int run_enqueue_many(struct world *w)
{
    struct jobq_spec specs[3];
    struct jobq_enqueued out[3];
    for (int i = 0; i < 3; i++) {
        specs[i] = spec_of(w, i);
        out[i] = (struct jobq_enqueued){ .size = sizeof *out };
    }
    int status = jobq_enqueue_many(w->q, specs, 3, out);
    return status == JOBQ_OK && out[0].status == JOBQ_ALREADY ? JOBQ_ALREADY : status;
}

static int run_claim(struct world *w)
{
    return claim_as(w, 1, 3600000);
}

static int run_claim_early(struct world *w)
{
    const struct jobq_claim_options options = { .size = sizeof options, .queues = work, .queue_count = 1, .worker = "w",
                                                .flags = JOBQ_ACK_EARLY | JOBQ_NO_SWEEP };
    struct jobq_jobs *jobs;
    int status = jobq_claim(w->q, &options, &jobs);
    if (status == JOBQ_OK)
        jobq_jobs_free(jobs);
    return status;
}

static int run_ack(struct world *w)
{
    return jobq_ack(w->q, &w->ids[0], &w->tokens[0], "result", 6);
}

static int run_ack_then(struct world *w)
{
    struct jobq_spec spec = spec_of(w, 1);
    struct jobq_enqueued out = { .size = sizeof out };
    spec.queue = "later";
    return jobq_ack_then(w->q, &w->ids[0], &w->tokens[0], NULL, 0, &spec, 1, &out);
}

static int run_fail(struct world *w)
{
    const struct jobq_failure failure = { .size = sizeof failure, .text = { "broken", 6 } };
    return jobq_fail(w->q, &w->ids[0], &w->tokens[0], &failure);
}

static int run_extend(struct world *w)
{
    struct jobq_extended out = { .size = sizeof out };
    return jobq_extend(w->q, &w->ids[0], &w->tokens[0], 3600000, &out);
}

static int run_release(struct world *w)
{
    return jobq_release(w->q, &w->ids[0], &w->tokens[0]);
}

static int run_snooze(struct world *w)
{
    return jobq_snooze(w->q, &w->ids[0], &w->tokens[0], 5000);
}

static int run_progress(struct world *w)
{
    return jobq_progress(w->q, &w->ids[0], &w->tokens[0], "half", 4);
}

static int run_log(struct world *w)
{
    return jobq_log(w->q, &w->ids[0], &w->tokens[0], "a line", 6);
}

static int run_callback_new(struct world *w)
{
    return jobq_callback_new(w->q, &w->ids[0], &w->tokens[0], &w->callback);
}

static int run_park(struct world *w)
{
    return jobq_park(w->q, &w->ids[0], &w->tokens[0], 3600000);
}

static int run_unpark(struct world *w)
{
    return jobq_unpark(w->q, &w->callback, "data", 4);
}

static int run_cancel(struct world *w)
{
    return jobq_cancel(w->q, &w->ids[0], 0);
}

static int run_cancel_hard(struct world *w)
{
    return jobq_cancel(w->q, &w->ids[0], JOBQ_CANCEL_HARD);
}

static int run_redrive(struct world *w)
{
    return jobq_redrive(w->q, &w->ids[0]);
}

static int run_unhold(struct world *w)
{
    return jobq_unhold(w->q, &w->ids[0]);
}

static int run_drop(struct world *w)
{
    return jobq_drop(w->q, &w->ids[0]);
}

static int free_jobs(int status, struct jobq_jobs *jobs, size_t count)
{
    if (status != JOBQ_OK)
        return jobs ? WRONG : status;
    size_t got = jobs->count;
    jobq_jobs_free(jobs);
    return got == count ? JOBQ_OK : WRONG;
}

static int run_get(struct world *w)
{
    struct jobq_jobs *jobs;
    int status = jobq_get(w->q, &w->ids[0], &jobs);
    return free_jobs(status, jobs, 1);
}

static int run_list(struct world *w)
{
    struct jobq_jobs *jobs;
    int status = jobq_list(w->q, NULL, &jobs);
    return free_jobs(status, jobs, 2);
}

static int run_wait(struct world *w)
{
    struct jobq_jobs *jobs;
    int status = jobq_wait(w->q, &w->ids[0], 0, &jobs);
    return free_jobs(status, jobs, 1);
}

static int run_purge(struct world *w)
{
    return jobq_purge(w->q, NULL, 0, NULL);
}

static int run_redrive_all(struct world *w)
{
    return jobq_redrive_all(w->q, NULL, 0, NULL);
}

static int run_bulk_cancel(struct world *w)
{
    return jobq_bulk_cancel(w->q, NULL, NULL, NULL);
}

static int run_bulk_redrive(struct world *w)
{
    const struct jobq_bulk_options rate = { .size = sizeof rate, .rate = 1, .rate_period_ms = 1000 };
    return jobq_bulk_redrive(w->q, NULL, &rate, NULL);
}

static int run_bulk_drop(struct world *w)
{
    return jobq_bulk_drop(w->q, NULL, NULL, NULL);
}

static int run_bulk_forget(struct world *w)
{
    return jobq_bulk_forget(w->q, NULL, NULL, NULL);
}

static int run_pause(struct world *w)
{
    return jobq_pause(w->q, "rest");
}

static int run_resume(struct world *w)
{
    return jobq_resume(w->q, "rest");
}

static int run_keep_set(struct world *w)
{
    const struct jobq_keep keep = { .size = sizeof keep, .completed = 100 + (int64_t)(w->serial % 100) };
    return jobq_keep_set(w->q, "kept", &keep);
}

static int run_keep_get(struct world *w)
{
    struct jobq_keep keep = { .size = sizeof keep };
    return jobq_keep_get(w->q, "kept", &keep);
}

static int run_ask_stop(struct world *w)
{
    return jobq_ask_stop(w->q, "nobody");
}

static int run_sweep(struct world *w)
{
    return jobq_sweep(w->q, 10, NULL);
}

static int run_wake(struct world *w)
{
    jobq_wake(w->q);
    return JOBQ_OK;
}

static int run_clock(struct world *w)
{
    return jobq_clock_advance(w->q, 1);
}

static int run_export(struct world *w)
{
    static char room[1 << 20];
    struct pen pen = { room, sizeof room, 0 };
    return jobq_export(w->q, write_pen, &pen, NULL);
}

static int run_import(struct world *w)
{
    struct pen pen = { w->copy, w->copy_bytes, 0 };
    return jobq_import(w->q, read_pen, &pen, NULL);
}

static int run_schedule_add(struct world *w)
{
    const struct jobq_schedule schedule = schedule_of("0 4 * * *");
    return jobq_schedule_add(w->q, &schedule);
}

static int run_schedule_edit(struct world *w)
{
    const struct jobq_schedule schedule = schedule_of("0 5 * * *");
    return jobq_schedule_edit(w->q, &schedule);
}

static int run_schedule_remove(struct world *w)
{
    return jobq_schedule_remove(w->q, "s");
}

static int run_schedule_pause(struct world *w)
{
    return jobq_schedule_pause(w->q, "s");
}

static int run_schedule_resume(struct world *w)
{
    return jobq_schedule_resume(w->q, "s");
}

static int run_schedule_run(struct world *w)
{
    return jobq_schedule_run(w->q, "s", NULL);
}

static int free_schedules(int status, struct jobq_schedules *schedules)
{
    if (status == JOBQ_OK)
        jobq_schedules_free(schedules);
    return status != JOBQ_OK && schedules ? WRONG : status;
}

static int run_schedule_get(struct world *w)
{
    struct jobq_schedules *schedules;
    int status = jobq_schedule_get(w->q, "s", &schedules);
    return free_schedules(status, schedules);
}

static int run_schedule_list(struct world *w)
{
    struct jobq_schedules *schedules;
    int status = jobq_schedule_list(w->q, NULL, 0, &schedules);
    return free_schedules(status, schedules);
}

static int run_schedule_next(struct world *w)
{
    int64_t times[3];
    size_t count;
    return jobq_schedule_next(w->q, "s", 0, times, 3, &count);
}

static int run_preview(struct world *w)
{
    struct jobq_schedule schedule = schedule_of("30 2 * * 0");
    int64_t times[3];
    size_t count;
    (void)w;
    schedule.zone = "Europe/Berlin";
    return jobq_schedule_preview(&schedule, 1700000000000, times, 3, &count);
}

static int run_limit_set(struct world *w)
{
    const struct jobq_limit limit = { .size = sizeof limit, .of = JOBQ_LIMIT_GROUP, .name = "limited",
                                      .set = JOBQ_LIMIT_CONCURRENCY | JOBQ_LIMIT_RATE,
                                      .concurrency = 5 + (int64_t)(w->serial % 10), .rate = 100, .rate_period_ms = 60000 };
    return jobq_limit_set(w->q, &limit);
}

static int run_limits(struct world *w)
{
    struct jobq_limits *limits;
    int status = jobq_limits(w->q, JOBQ_LIMIT_GROUP, NULL, NULL, &limits);
    if (status == JOBQ_OK)
        jobq_limits_free(limits);
    return status != JOBQ_OK && limits ? WRONG : status;
}

static int run_stats(struct world *w)
{
    struct jobq_stats *stats;
    int status = jobq_stats(w->q, NULL, &stats);
    if (status == JOBQ_OK)
        jobq_stats_free(stats);
    return status != JOBQ_OK && stats ? WRONG : status;
}

static int run_explain(struct world *w)
{
    struct jobq_explanation out = { .size = sizeof out };
    return jobq_explain(w->q, &w->ids[0], &out);
}

static int run_events_keep(struct world *w)
{
    return jobq_events_keep(w->q, 20);
}

static int run_events(struct world *w)
{
    struct jobq_events *events;
    int status = jobq_events(w->q, 0, 100, &events);
    if (status == JOBQ_OK)
        jobq_events_free(events);
    return status != JOBQ_OK && events ? WRONG : status;
}

static int run_health(struct world *w)
{
    struct jobq_health *health;
    int status = jobq_health(w->q, NULL, NULL, &health);
    if (status == JOBQ_OK)
        jobq_health_free(health);
    return status != JOBQ_OK && health ? WRONG : status;
}

static int do_it(struct jobq_ctx *ctx, void *user)
{
    (void)user;
    return jobq_ctx_result(ctx, "done", 4) == JOBQ_OK && jobq_ctx_log(ctx, "line", 4) == JOBQ_OK ? JOBQ_DONE
                                                                                                : JOBQ_RELEASE;
}

static int run_worker(struct world *w)
{
    const struct jobq_worker_options options = { .size = sizeof options, .queues = work, .queue_count = 1, .name = "w" };
    struct jobq_worker *worker;
    int status = jobq_worker_create(&worker, w->q, &options);
    if (status != JOBQ_OK)
        return worker ? WRONG : status;
    status = jobq_worker_handle(worker, NULL, do_it, NULL);
    jobq_worker_destroy(worker);
    return status;
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

const struct call calls[] = {
    { "open", NULL, run_open, CALL_CLOSED },
    { "enqueue", NULL, run_enqueue, 0 },
    { "enqueue with all there is", have_key, run_enqueue_rich, 0 },
    { "enqueue, key held", have_key, run_duplicate, 0 },
    { "enqueue, replacing", have_key, run_replace, CALL_BLIND },
    { "enqueue, as a successor", have_key, run_successor, CALL_BLIND },
    { "enqueue_many", NULL, run_enqueue_many, 0 },
    { "claim", have_one, run_claim, CALL_BLIND | CALL_PARTLY },
    { "claim, a lease past", have_overdue, run_claim, CALL_BLIND | CALL_PARTLY | CALL_LATER },
    { "claim, acknowledged early", have_one, run_claim_early, CALL_BLIND | CALL_PARTLY },
    { "ack", have_claimed, run_ack, 0 },
    { "ack_then", have_claimed, run_ack_then, 0 },
    { "fail", have_claimed, run_fail, 0 },
    { "extend", have_claimed, run_extend, CALL_PARTLY },
    { "release", have_claimed, run_release, 0 },
    { "snooze", have_claimed, run_snooze, 0 },
    { "progress", have_claimed, run_progress, 0 },
    { "log", have_claimed, run_log, 0 },
    { "callback_new", have_claimed, run_callback_new, 0 },
    { "park", have_callback, run_park, 0 },
    { "unpark", have_parked, run_unpark, 0 },
    { "cancel", have_one, run_cancel, 0 },
    { "cancel, running", have_claimed, run_cancel_hard, 0 },
    { "redrive", have_dead, run_redrive, 0 },
    { "unhold", have_held, run_unhold, 0 },
    { "drop", have_one, run_drop, 0 },
    { "get", have_dead, run_get, 0 },
    { "list", have_two, run_list, 0 },
    { "wait", have_completed, run_wait, 0 },
    { "purge", have_two, run_purge, CALL_PARTLY },
    { "redrive_all", have_dead, run_redrive_all, CALL_PARTLY },
    { "bulk_cancel", have_two, run_bulk_cancel, CALL_PARTLY },
    { "bulk_redrive", have_dead, run_bulk_redrive, CALL_PARTLY },
    { "bulk_drop", have_two, run_bulk_drop, CALL_PARTLY },
    { "bulk_forget", have_completed, run_bulk_forget, CALL_PARTLY },
    { "pause", NULL, run_pause, 0 },
    { "resume", NULL, run_resume, 0 },
    { "keep_set", NULL, run_keep_set, 0 },
    { "keep_get", NULL, run_keep_get, 0 },
    { "ask_stop", NULL, run_ask_stop, 0 },
    { "sweep", have_overdue, run_sweep, CALL_PARTLY },
    { "sweep, a schedule is due", have_due_schedule, run_sweep, CALL_PARTLY },
    { "wake", NULL, run_wake, 0 },
    { "clock_advance", NULL, run_clock, 0 },
    { "export", have_dead, run_export, 0 },
    { "import", have_copy, run_import, CALL_PARTLY },
    { "schedule_add", have_no_schedule, run_schedule_add, 0 },
    { "schedule_edit", have_schedule, run_schedule_edit, 0 },
    { "schedule_remove", have_schedule, run_schedule_remove, 0 },
    { "schedule_pause", have_schedule, run_schedule_pause, 0 },
    { "schedule_resume", have_paused_schedule, run_schedule_resume, 0 },
    { "schedule_run", have_schedule, run_schedule_run, CALL_BLIND },
    { "schedule_get", have_schedule, run_schedule_get, 0 },
    { "schedule_list", have_schedule, run_schedule_list, 0 },
    { "schedule_next", have_schedule, run_schedule_next, 0 },
    { "schedule_preview", NULL, run_preview, 0 },
    { "limit_set", NULL, run_limit_set, 0 },
    { "limits", NULL, run_limits, 0 },
    { "stats", have_two, run_stats, 0 },
    { "explain", have_one, run_explain, 0 },
    { "events_keep", have_no_events, run_events_keep, 0 },
    { "events", have_events, run_events, 0 },
    { "health", have_two, run_health, 0 },
    { "worker_create, worker_handle", NULL, run_worker, 0 },
};
const size_t call_count = sizeof calls / sizeof *calls;
