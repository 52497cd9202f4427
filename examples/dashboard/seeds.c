/* SPDX-License-Identifier: MIT */
/* The administration that people know: stats, health, jobs, retry-failed, clear, start, stop. A piece of work
 * counts once: jobs that are steps of others are left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dash.h"
#include "text.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MOST    100
#define ERROR_BYTES   2048
#define BIT(state)    (1u << (state))
#define WAITING       (BIT(JOBQ_BLOCKED) | BIT(JOBQ_SCHEDULED) | BIT(JOBQ_READY))
#define ENDED         (BIT(JOBQ_COMPLETED) | BIT(JOBQ_DEAD) | BIT(JOBQ_CANCELLED))
#define ALL           (WAITING | BIT(JOBQ_RUNNING) | ENDED)

/* ---- counting --------------------------------------------------------------------------------- */

struct figures {
    uint64_t present[JOBQ_STATE_COUNT], stuck;
    uint64_t ran, ran_ms;
    int64_t last_ms;
};

static void add_queue(const struct dash *dash, struct figures *out, const struct jobq_queue_stats *queue)
{
    for (int state = 1; state < JOBQ_STATE_COUNT; state++)
        if (!dash_is_step(dash, queue->queue, state))
            out->present[state] += queue->present[state];
    if (dash_is_step(dash, queue->queue, JOBQ_RUNNING))
        return;
    out->stuck += queue->stuck;
    out->ran += queue->ran.count;
    out->ran_ms += (uint64_t)queue->ran.total_ms;
    if (queue->last_finished_at_ms > out->last_ms)
        out->last_ms = queue->last_finished_at_ms;
}

/* How many jobs a filter names that has one state of one queue. A tenant's are counted by going through them.
 */
static int count_state(struct dash *dash, struct jobq_filter *filter, int state, uint64_t *out)
{
    const struct jobq_bulk_options dry = {.size = sizeof(dry), .dry_run = 1};
    struct jobq_bulk bulk = {.size = sizeof(bulk)};
    int status;

    filter->states = BIT(state);
    status = BIT(state) & ENDED ? jobq_bulk_drop(dash->q, filter, &dry, &bulk)
                                : jobq_bulk_cancel(dash->q, filter, &dry, &bulk);
    *out += bulk.matched;
    return status;
}

static int count_tenant(struct dash *dash, const char *tenant, const char *queue, struct figures *out)
{
    struct jobq_filter filter = {.size = sizeof(filter), .group = tenant, .queue = queue};
    int status = JOBQ_OK;

    for (int state = 1; state < JOBQ_STATE_COUNT && status == JOBQ_OK; state++)
        if (!dash_is_step(dash, queue, state))
            status = count_state(dash, &filter, state, &out->present[state]);
    return status;
}

/* `queue` NULL: all. */
static int figures_of(struct dash *dash, const char *tenant, const char *queue, struct figures *out)
{
    struct jobq_stats *stats = NULL;
    int status = jobq_stats(dash->q, queue, &stats);

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; status == JOBQ_OK && i < stats->queue_count; i++) {
        if (*tenant)
            status = count_tenant(dash, tenant, stats->queues[i].queue, out);
        else
            add_queue(dash, out, &stats->queues[i]);
    }
    jobq_stats_free(stats);
    return status;
}

static uint64_t sum(const struct figures *figures, uint32_t states)
{
    uint64_t count = 0;

    for (int state = 1; state < JOBQ_STATE_COUNT; state++)
        if (states & BIT(state))
            count += figures->present[state];
    return count;
}

static json_t *of_figures(const struct figures *figures)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "total", json_of_count(sum(figures, ALL)),
                     "pending", json_of_count(sum(figures, WAITING)), "processing",
                     json_of_count(figures->present[JOBQ_RUNNING]), "completed",
                     json_of_count(figures->present[JOBQ_COMPLETED]), "failed",
                     json_of_count(figures->present[JOBQ_DEAD] + figures->present[JOBQ_CANCELLED]), "stuck",
                     json_of_count(figures->stuck), "avgProcessingTime",
                     json_of_count(figures->ran ? figures->ran_ms / figures->ran : 0), "lastProcessedAt",
                     json_of_instant(figures->last_ms));
}

void route_stats(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct figures figures;
    struct caller caller;
    int status;

    if (dash_enter(dash, request, "stats", &caller, reply) != 0)
        return;
    status = figures_of(dash, caller.tenant, NULL, &figures);
    if (status < 0) {
        dash_trouble(reply, status);
        return;
    }
    reply->status = 200;
    reply->body = of_figures(&figures);
}

/* ---- health ----------------------------------------------------------------------------------- */

static json_t *of_findings(const struct jobq_health *health, int names, json_t *issues,
                           json_t *recommendations)
{
    static const char *const severities[] = {"healthy", "warning", "critical"};
    json_t *findings = json_array();

    for (size_t i = 0; i < health->finding_count; i++) {
        const struct jobq_finding *f = &health->findings[i];
        json_array_append_new(issues,
                              names ? json_sprintf("%s: %s", f->queue, f->issue) : json_of_name(f->issue));
        json_array_append_new(recommendations, json_of_name(f->recommendation));
        json_array_append_new(findings,
                              json_pack("{s:o, s:s, s:s, s:o, s:o}", "queue",
                                        names ? json_of_name(f->queue) : json_null(), "finding",
                                        jobq_finding_name(f->what), "severity", severities[f->severity],
                                        "value", json_of_count(f->value), "limit", json_of_count(f->limit)));
    }
    return findings;
}

void route_health(void *user, const struct http_request *request, struct http_reply *reply)
{
    static const char *const statuses[] = {"healthy", "warning", "critical"};
    struct dash *dash = user;
    struct jobq_health *health = NULL;
    struct figures figures;
    struct caller caller;
    json_t *issues, *recommendations, *findings;
    int status;
    uint64_t total;

    if (dash_enter(dash, request, "health", &caller, reply) != 0)
        return;
    status = figures_of(dash, "", NULL, &figures);
    if (status == JOBQ_OK)
        status = jobq_health(dash->q, NULL, NULL, &health);
    if (status < 0) {
        dash_trouble(reply, status);
        return;
    }
    issues = json_array();
    recommendations = json_array();
    findings = of_findings(health, !caller.open, issues, recommendations);
    total = sum(&figures, ALL);
    reply->status = 200;
    reply->body =
        json_pack("{s:s, s:o, s:o, s:o, s:f, s:o}", "status", statuses[health->status], "issues", issues,
                  "recommendations", recommendations, "stuckJobs", json_of_count(figures.stuck), "errorRate",
                  total ? (double)figures.present[JOBQ_DEAD] / (double)total : 0.0, "findings", findings);
    jobq_health_free(health);
}

/* ---- jobs ------------------------------------------------------------------------------------- */

struct page {
    const struct dash *dash;
    json_t *jobs;
    uint64_t skip, seen;
    size_t limit;
};

static json_t *field_of(const json_t *payload, const char *name)
{
    json_t *value = json_object_get(payload, name);

    return json_is_string(value) || json_is_number(value) ? json_incref(value) : json_null();
}

static json_t *error_of(const struct jobq_job *job)
{
    const struct jobq_failure_entry *last;

    if (job->failures_log_count == 0)
        return json_null();
    last = &job->failures_log[job->failures_log_count - 1];
    return json_of_text(last->text.data, last->text.size, ERROR_BYTES);
}

static json_t *row_of(const struct dash *dash, const struct jobq_job *job)
{
    json_t *payload = json_of_bytes(job->payload);
    json_t *row = json_pack(
        "{s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:i, s:o, s:o, s:o}", "id", json_of_id(&job->id),
        "table_name", field_of(payload, "table_name"), "operation", field_of(payload, "operation"),
        "record_id", field_of(payload, "record_id"), "status", dash_status_of(job->state), "state",
        jobq_state_name(job->state), "created_at", json_of_instant(job->created_at_ms), "processed_at",
        json_of_instant(job->finished_at_ms), "retry_count", (int)job->failures, "error_message",
        error_of(job), "queue", json_of_name(job->queue), "columns", json_of_columns(dash, job));

    json_decref(payload);
    return row;
}

static int take_row(void *user, const struct jobq_job *job, int64_t now_ms)
{
    struct page *page = user;

    (void)now_ms;
    if (page->seen++ < page->skip)
        return 0;
    json_array_append_new(page->jobs, row_of(page->dash, job));
    return json_array_size(page->jobs) == page->limit;
}

static int64_t number_of(const struct http_request *request, const char *name, int64_t otherwise,
                         int64_t most)
{
    char text[24];
    const char *given = http_query(request, name, text, sizeof(text));
    long long value = given ? strtoll(given, NULL, 10) : otherwise;

    return value < 1 ? 1 : value > most ? most : value;
}

void route_jobs(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct page page = {.dash = dash};
    struct figures figures;
    struct caller caller;
    struct pick pick;
    int64_t number = number_of(request, "page", 1, 1000000);
    int status;

    if (dash_enter(dash, request, "jobs", &caller, reply) != 0 ||
        pick_read(dash, &caller, &pick, pick_from_query, (void *)(uintptr_t)request, reply) != 0)
        return;
    pick.seeds = 1;
    pick.filter.kind = NULL;
    pick.filter.after = NULL;
    pick.filter.group = *caller.tenant ? pick.group : NULL;
    page.limit = (size_t)number_of(request, "limit", LIMIT_DEFAULT, LIMIT_MOST);
    page.skip = (uint64_t)(number - 1) * page.limit;
    page.jobs = json_array();
    status = figures_of(dash, caller.tenant, pick.filter.queue, &figures);
    if (status == JOBQ_OK)
        status = pick_walk(dash, &pick, SIZE_MAX, take_row, &page, NULL);
    if (status < 0) {
        json_decref(page.jobs);
        dash_trouble(reply, status);
        return;
    }
    reply->status = 200;
    reply->body = json_pack("{s:o, s:o, s:I, s:I}", "jobs", page.jobs, "total",
                            json_of_count(sum(&figures, pick.filter.states ? pick.filter.states : ALL)),
                            "page", (json_int_t)number, "limit", (json_int_t)page.limit);
}

/* ---- verbs ------------------------------------------------------------------------------------ */

static void done(struct dash *dash, const struct caller *caller, const char *verb, const char *counted,
                 uint64_t count, const char *message, int status, struct http_reply *reply)
{
    if (status < 0)
        dash_trouble(reply, status);
    else {
        reply->status = 200;
        reply->body = json_pack("{s:b, s:s}", "success", 1, "message", message);
        if (counted)
            json_object_set_new(reply->body, counted, json_of_count(count));
    }
    dash_audit(dash, caller, verb, counted ? json_pack("{s:o}", counted, json_of_count(count)) : NULL, reply);
}

void route_retry_failed(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct jobq_filter filter = {.size = sizeof(filter), .states = BIT(JOBQ_DEAD)};
    struct jobq_bulk bulk = {.size = sizeof(bulk)};
    struct dash *dash = user;
    struct caller caller;
    char message[96];
    int status;

    if (dash_enter(dash, request, "retry-failed", &caller, reply) != 0)
        return;
    filter.group = *caller.tenant ? caller.tenant : NULL;
    status = jobq_redrive_all(dash->q, &filter, 0, &bulk);
    snprintf(message, sizeof(message), "%llu failed jobs are tried again", (unsigned long long)bulk.done);
    done(dash, &caller, "retry-failed", "retried", bulk.done, message, status, reply);
}

/* Of one queue: what waits is cancelled, what has ended is removed. */
static int clear_queue(struct dash *dash, const char *tenant, const char *queue, uint64_t *cleared)
{
    struct jobq_filter filter = {.size = sizeof(filter), .group = *tenant ? tenant : NULL, .queue = queue};
    struct jobq_bulk bulk = {.size = sizeof(bulk)};
    int status;

    filter.states = WAITING;
    status = jobq_bulk_cancel(dash->q, &filter, NULL, NULL);
    for (int state = JOBQ_COMPLETED; state <= JOBQ_CANCELLED && status == JOBQ_OK; state++) {
        filter.states = BIT(state);
        status = jobq_bulk_drop(dash->q, &filter, NULL, &bulk);
        if (!dash_is_step(dash, queue, state))
            *cleared += bulk.done;
    }
    return status;
}

void route_clear(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct jobq_stats *stats = NULL;
    struct caller caller;
    uint64_t cleared = 0;
    char message[96];
    int status;

    if (dash_enter(dash, request, "clear", &caller, reply) != 0)
        return;
    status = jobq_stats(dash->q, NULL, &stats);
    for (size_t i = 0; status == JOBQ_OK && i < stats->queue_count; i++)
        status = clear_queue(dash, caller.tenant, stats->queues[i].queue, &cleared);
    jobq_stats_free(stats);
    snprintf(message, sizeof(message), "%llu jobs are removed; those that run go on",
             (unsigned long long)cleared);
    done(dash, &caller, "clear", "cleared", cleared, message, status, reply);
}

static void each_queue(struct dash *dash, const struct http_request *request, const char *verb,
                       const char *message, int (*change)(struct jobq *q, const char *queue),
                       struct http_reply *reply)
{
    struct jobq_stats *stats = NULL;
    struct caller caller;
    int status;

    if (dash_enter(dash, request, verb, &caller, reply) != 0)
        return;
    status = jobq_stats(dash->q, NULL, &stats);
    for (size_t i = 0; status == JOBQ_OK && i < stats->queue_count; i++)
        status = change(dash->q, stats->queues[i].queue);
    jobq_stats_free(stats);
    done(dash, &caller, verb, NULL, 0, message, status, reply);
}

void route_start_all(void *user, const struct http_request *request, struct http_reply *reply)
{
    each_queue(user, request, "start", "workers take jobs from every queue", jobq_resume, reply);
}

void route_stop_all(void *user, const struct http_request *request, struct http_reply *reply)
{
    each_queue(user, request, "stop", "no queue gives jobs away; what runs goes on", jobq_pause, reply);
}
