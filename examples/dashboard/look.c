/* SPDX-License-Identifier: MIT */
/* What the page looks at: figures, jobs, dead letters, limits, schedules. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dash.h"
#include "text.h"

#define LIST_DEFAULT   50
#define LIST_MOST      200
#define LOOK_MOST      20000 /* jobs that one search looks at */
#define GROUPS_MOST    500
#define DEAD_LOOK_MOST 200000
#define NEXT_RUNS      5
#define ROWS_MOST      500
#define BIT(state)     (1u << (state))

/* ---- all of it -------------------------------------------------------------------------------- */

static int add_running(const struct dash *dash, json_t *out)
{
    const struct jobq_filter filter = {
        .size = sizeof(filter), .states = BIT(JOBQ_RUNNING), .limit = ROWS_MOST, .bytes = 65536};
    struct jobq_jobs *running = NULL;
    json_t *jobs = json_array();
    int status = jobq_list(dash->q, &filter, &running);

    for (size_t i = 0; status == JOBQ_OK && i < running->count; i++) {
        const struct jobq_job *job = &running->jobs[i];
        json_array_append_new(jobs,
                              json_pack("{s:o, s:o, s:o, s:o, s:o, s:b}", "id", json_of_id(&job->id), "queue",
                                        json_of_name(job->queue), "worker", json_of_name(job->worker),
                                        "started_at", json_of_instant(job->started_at_ms), "lease_until",
                                        json_of_instant(job->lease_until_ms), "stuck", job->stuck));
    }
    jobq_jobs_free(running);
    json_object_set_new(out, "running", jobs);
    return status;
}

json_t *dash_overview(struct dash *dash, int names, int *status)
{
    struct jobq_stats *stats = NULL;
    json_t *out = NULL;

    *status = jobq_stats(dash->q, NULL, &stats);
    if (*status == JOBQ_OK)
        out = json_of_stats(stats, names);
    jobq_stats_free(stats);
    if (out && names)
        *status = add_running(dash, out);
    if (*status >= 0)
        return out;
    json_decref(out);
    return NULL;
}

void route_overview(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct caller caller;
    int status = JOBQ_OK;

    if (dash_enter(dash, request, "overview", &caller, reply) != 0)
        return;
    reply->body = dash_overview(dash, !caller.open, &status);
    reply->status = 200;
    if (status < 0)
        dash_trouble(reply, status);
    else
        json_object_set_new(reply->body, "history", feed_history(dash->feed));
}

/* ---- jobs ------------------------------------------------------------------------------------- */

struct rows {
    const struct dash *dash;
    json_t *jobs;
    size_t limit;
};

static int take_row(void *user, const struct jobq_job *job, int64_t now_ms)
{
    struct rows *rows = user;

    json_array_append_new(rows->jobs, json_of_job(rows->dash, job, 0, now_ms));
    return json_array_size(rows->jobs) == rows->limit;
}

void route_list(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct rows rows = {.dash = dash, .limit = LIST_DEFAULT};
    struct caller caller;
    struct jobq_id last;
    struct pick pick;
    char text[24];
    int status;

    if (dash_enter(dash, request, "list", &caller, reply) != 0 ||
        pick_read(dash, &caller, &pick, pick_from_query, (void *)(uintptr_t)request, reply) != 0)
        return;
    if (http_query(request, "limit", text, sizeof(text))) {
        long limit = strtol(text, NULL, 10);
        rows.limit = limit < 1 ? 1 : limit > LIST_MOST ? LIST_MOST : (size_t)limit;
    }
    rows.jobs = json_array();
    status = pick_walk(dash, &pick, LOOK_MOST, take_row, &rows, &last);
    if (status < 0) {
        json_decref(rows.jobs);
        dash_trouble(reply, status);
        return;
    }
    reply->status = 200;
    reply->body =
        json_pack("{s:o, s:o}", "jobs", rows.jobs, "next", status == 1 ? json_of_id(&last) : json_null());
}

static json_t *of_explanation(struct dash *dash, const struct jobq_id *id)
{
    struct jobq_explanation why = {.size = sizeof(why)};
    json_t *out;

    if (jobq_explain(dash->q, id, &why) < 0)
        return json_null();
    out = json_pack("{s:s, s:o, s:o, s:o}", "why", jobq_why_name(why.why), "text", json_of_name(why.text),
                    "until", json_of_instant(why.until_ms), "who", json_of_name(why.who));
    if (why.why == JOBQ_WHY_DEPENDENCY)
        json_object_set_new(out, "job", json_of_id(&why.job));
    return out;
}

/* A foreign job and a missing one have the same answer. */
static int get_job(struct dash *dash, const struct caller *caller, const char *text, struct jobq_jobs **out,
                   struct http_reply *reply)
{
    struct jobq_id id;
    int status = JOBQ_NOT_FOUND;

    *out = NULL;
    if (jobq_id_parse(text, &id) == JOBQ_OK)
        status = jobq_get(dash->q, &id, out);
    if (status == JOBQ_OK && !dash_sees(caller, &(*out)->jobs[0])) {
        jobq_jobs_free(*out);
        *out = NULL;
        status = JOBQ_NOT_FOUND;
    }
    if (status == JOBQ_NOT_FOUND)
        http_error(reply, 404, "id", "there is no such job, or it is no longer kept");
    else if (status < 0)
        dash_trouble(reply, status);
    return status == JOBQ_OK ? 0 : -1;
}

void route_job(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct jobq_jobs *found;
    struct caller caller;

    if (dash_enter(dash, request, "job/", &caller, reply) != 0 ||
        get_job(dash, &caller, request->rest, &found, reply) != 0)
        return;
    reply->status = 200;
    reply->body = json_of_job(dash, &found->jobs[0], 1, found->now_ms);
    json_object_set_new(reply->body, "explain", of_explanation(dash, &found->jobs[0].id));
    jobq_jobs_free(found);
}

void route_flow(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct caller caller;
    struct jobq_id id;
    int status = JOBQ_NOT_FOUND;

    if (dash_enter(dash, request, "flow/", &caller, reply) != 0)
        return;
    if (dash->options.flow && jobq_id_parse(request->rest, &id) == JOBQ_OK)
        status = dash->options.flow(dash->options.user, &id, caller.tenant, &reply->body);
    reply->status = 200;
    if (status == JOBQ_NOT_FOUND)
        http_error(reply, 404, "id", "there is no such piece of work, or it is no longer kept");
    else if (status < 0)
        dash_trouble(reply, status);
}

/* ---- dead letters ----------------------------------------------------------------------------- */

struct group {
    uint64_t count;
    int reason;
    char text[JOBQ_FINGERPRINT_BYTES];
    int64_t first_ms, last_ms;
    struct jobq_id newest;
};

struct groups {
    struct group *all;
    size_t count;
    uint64_t beyond; /* jobs of groups for which there was no room */
};

static int take_dead(void *user, const struct jobq_job *job, int64_t now_ms)
{
    struct groups *groups = user;
    struct group *group = NULL;
    char text[JOBQ_FINGERPRINT_BYTES];

    (void)now_ms;
    jobq_error_fingerprint(job, text);
    for (size_t i = 0; i < groups->count && !group; i++)
        if (groups->all[i].reason == job->reason && strcmp(groups->all[i].text, text) == 0)
            group = &groups->all[i];
    if (!group && groups->count == GROUPS_MOST) {
        groups->beyond++;
        return 0;
    }
    if (!group) {
        group = &groups->all[groups->count++];
        *group = (struct group){.reason = job->reason, .first_ms = job->finished_at_ms};
        memcpy(group->text, text, sizeof(text));
    }
    group->count++;
    group->newest = job->id;
    if (job->finished_at_ms < group->first_ms)
        group->first_ms = job->finished_at_ms;
    if (job->finished_at_ms > group->last_ms)
        group->last_ms = job->finished_at_ms;
    return 0;
}

static int most_first(const void *left, const void *right)
{
    const struct group *a = left, *b = right;

    return (a->count < b->count) - (a->count > b->count);
}

static json_t *of_groups(struct groups *groups)
{
    json_t *out = json_array();

    qsort(groups->all, groups->count, sizeof(*groups->all), most_first);
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *g = &groups->all[i];
        json_array_append_new(out, json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "count",
                                             json_of_count(g->count), "reason", jobq_reason_name(g->reason),
                                             "error", json_of_text(g->text, strlen(g->text), sizeof(g->text)),
                                             "first_at", json_of_instant(g->first_ms), "last_at",
                                             json_of_instant(g->last_ms), "newest", json_of_id(&g->newest)));
    }
    return out;
}

void route_dead(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct groups groups = {.count = 0};
    struct caller caller;
    struct pick pick;
    int status;

    if (dash_enter(dash, request, "dead", &caller, reply) != 0 ||
        pick_read(dash, &caller, &pick, pick_from_query, (void *)(uintptr_t)request, reply) != 0)
        return;
    pick.filter.states = BIT(JOBQ_DEAD);
    groups.all = calloc(GROUPS_MOST, sizeof(*groups.all));
    status = groups.all ? pick_walk(dash, &pick, DEAD_LOOK_MOST, take_dead, &groups, NULL) : JOBQ_NOMEM;
    reply->status = 200;
    if (status < 0)
        dash_trouble(reply, status);
    else
        reply->body = json_pack("{s:o, s:b, s:o}", "groups", of_groups(&groups), "complete",
                                status == JOBQ_OK, "beyond", json_of_count(groups.beyond));
    free(groups.all);
}

/* ---- limits ----------------------------------------------------------------------------------- */

static int add_limits(struct dash *dash, int of, const char *name, json_t *out)
{
    struct jobq_limits *limits = NULL;
    int status = jobq_limits(dash->q, of, name, NULL, &limits);

    for (size_t i = 0; status == JOBQ_OK && i < limits->count; i++)
        json_array_append_new(out, json_of_limit(&limits->limits[i]));
    jobq_limits_free(limits);
    return status;
}

void route_limits(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    json_t *limits = json_array();
    struct caller caller;
    int status = JOBQ_OK;

    if (dash_enter(dash, request, "limits", &caller, reply) != 0) {
        json_decref(limits);
        return;
    }
    if (*caller.tenant)
        status = add_limits(dash, JOBQ_LIMIT_GROUP, caller.tenant, limits);
    for (int of = JOBQ_LIMIT_QUEUE; of <= JOBQ_LIMIT_PLAN && status == JOBQ_OK && !*caller.tenant; of++)
        status = add_limits(dash, of, NULL, limits);
    reply->status = 200;
    reply->body = json_pack("{s:o}", "limits", limits);
    if (status < 0)
        dash_trouble(reply, status);
}

/* ---- schedules -------------------------------------------------------------------------------- */

struct last_run {
    struct jobq_bytes payload;
    json_t *job;
};

/* Jobs do not say who put them: one of the schedule's is of its queue and kind and has its payload. */
static int take_run(void *user, const struct jobq_job *job, int64_t now_ms)
{
    struct last_run *run = user;

    (void)now_ms;
    if (job->payload.size != run->payload.size ||
        (job->payload.size > 0 && memcmp(job->payload.data, run->payload.data, job->payload.size) != 0))
        return 0;
    json_decref(run->job);
    run->job = json_pack("{s:o, s:s, s:o}", "id", json_of_id(&job->id), "state", jobq_state_name(job->state),
                         "finished_at", json_of_instant(job->finished_at_ms));
    return 0;
}

static json_t *last_run_of(struct dash *dash, const struct jobq_schedule_info *info)
{
    const struct jobq_spec *spec = info->schedule->spec;
    struct last_run run = {.payload = spec->payload};
    struct pick pick = {.filter = {.size = sizeof(pick.filter), .queue = spec->queue, .kind = spec->kind}};
    int64_t since = info->fired_at_ms - 60000;

    for (int i = 0; i < 6 && since > 0; i++)
        pick.after.bytes[i] = (uint8_t)(since >> (40 - 8 * i));
    pick.filter.after = &pick.after;
    if (info->fired_at_ms <= 0 || pick_walk(dash, &pick, LOOK_MOST, take_run, &run, NULL) < 0 || !run.job)
        return json_null();
    return run.job;
}

static json_t *next_of(struct dash *dash, const char *name)
{
    int64_t times[NEXT_RUNS];
    size_t count = 0;
    json_t *out = json_array();

    if (jobq_schedule_next(dash->q, name, 0, times, NEXT_RUNS, &count) < 0)
        count = 0;
    for (size_t i = 0; i < count; i++)
        json_array_append_new(out, json_of_instant(times[i]));
    return out;
}

static json_t *of_schedule(struct dash *dash, const struct jobq_schedule_info *info)
{
    const struct jobq_schedule *schedule = info->schedule;
    json_t *out = json_pack("{s:o, s:b, s:o, s:o, s:b}", "name", json_of_name(info->name), "paused",
                            info->paused, "fired_at", json_of_instant(info->fired_at_ms), "next_at",
                            json_of_instant(info->next_at_ms), "readable", schedule != NULL);

    if (!schedule)
        return out;
    json_object_set_new(out, "cron", json_of_name(schedule->cron));
    json_object_set_new(out, "zone", json_of_name(schedule->zone));
    json_object_set_new(out, "every_ms", schedule->every_ms ? json_integer(schedule->every_ms) : json_null());
    json_object_set_new(out, "queue", json_of_name(schedule->spec->queue));
    json_object_set_new(out, "kind", json_of_name(schedule->spec->kind));
    json_object_set_new(out, "next", next_of(dash, info->name));
    json_object_set_new(out, "last", last_run_of(dash, info));
    return out;
}

void route_schedules(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct jobq_schedules *found = NULL;
    json_t *schedules = json_array();
    struct caller caller;
    int status;

    if (dash_enter(dash, request, "schedules", &caller, reply) != 0) {
        json_decref(schedules);
        return;
    }
    status = jobq_schedule_list(dash->q, NULL, ROWS_MOST, &found);
    for (size_t i = 0; status == JOBQ_OK && i < found->count; i++)
        json_array_append_new(schedules, of_schedule(dash, &found->schedules[i]));
    jobq_schedules_free(found);
    reply->status = 200;
    reply->body = json_pack("{s:o}", "schedules", schedules);
    if (status < 0)
        dash_trouble(reply, status);
}

void route_audit(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct caller caller;

    if (dash_enter(dash, request, "audit", &caller, reply) != 0)
        return;
    reply->status = 200;
    reply->body = json_pack("{s:o}", "entries", audit_newest(dash->audit));
}
