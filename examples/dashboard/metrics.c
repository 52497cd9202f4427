/* SPDX-License-Identifier: MIT */
/* The statistics as OpenMetrics text: the same families as `jobq metrics` has. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "dash.h"

static void family(FILE *out, const char *name, const char *type, const char *unit, const char *help)
{
    fprintf(out, "# TYPE %s %s\n", name, type);
    if (unit)
        fprintf(out, "# UNIT %s %s\n", name, unit);
    fprintf(out, "# HELP %s %s\n", name, help);
}

/* Inside the quotes of a label: backslash, quote and newline are escaped, all else is taken. */
static void begin(FILE *out, const char *name, const char *queue)
{
    fprintf(out, "%s{queue=\"", name);
    for (const char *c = queue; *c; c++) {
        if (*c == '\\' || *c == '"')
            putc('\\', out);
        putc(*c, out);
    }
    putc('"', out);
}

static void put_jobs(FILE *out, const struct jobq_stats *stats)
{
    family(out, "jobq_jobs", "gauge", NULL, "Jobs present by state.");
    for (size_t i = 0; i < stats->queue_count; i++)
        for (int state = 1; state < JOBQ_STATE_COUNT; state++) {
            begin(out, "jobq_jobs", stats->queues[i].queue);
            fprintf(out, ",state=\"%s\"} %" PRIu64 "\n", jobq_state_name(state),
                    stats->queues[i].present[state]);
        }
}

/* A figure of each queue, by where it stands in its statistics. */
static const struct figure {
    const char *name, *suffix, *help;
    size_t offset;
} figures[] = {
#define AT(member) offsetof(struct jobq_queue_stats, member)
    {"jobq_stuck", "", "Running jobs whose lease has run out.", AT(stuck)},
    {"jobq_enqueued", "_total", "Jobs put since the queue began.", AT(enqueued_total)},
    {"jobq_completed", "_total", "Jobs completed since the queue began.", AT(completed_total)},
    {"jobq_failed", "_total", "Failures since the queue began.", AT(failed_total)},
    {"jobq_dead", "_total", "Jobs that became dead since the queue began.", AT(dead_total)},
    {"jobq_cancelled", "_total", "Jobs cancelled since the queue began.", AT(cancelled_total)},
    {"jobq_completed_trimmed", "_total", "Completed jobs that retention removed since the queue began.",
     AT(completed_trimmed)},
    {"jobq_dead_trimmed", "_total", "Dead jobs that retention removed since the queue began.", AT(dead_trimmed)},
    {"jobq_cancelled_trimmed", "_total", "Cancelled jobs that retention removed since the queue began.",
     AT(cancelled_trimmed)},
};

static void put_figure(FILE *out, const struct figure *figure, const struct jobq_stats *stats)
{
    char name[64];

    family(out, figure->name, *figure->suffix ? "counter" : "gauge", NULL, figure->help);
    snprintf(name, sizeof(name), "%s%s", figure->name, figure->suffix);
    for (size_t i = 0; i < stats->queue_count; i++) {
        const char *member = (const char *)&stats->queues[i] + figure->offset;
        begin(out, name, stats->queues[i].queue);
        fprintf(out, "} %" PRIu64 "\n", *(const uint64_t *)(const void *)member);
    }
}

static void put_durations(FILE *out, const char *name, const char *queue, const struct jobq_durations *d)
{
    uint64_t below = 0;
    char part[64];

    snprintf(part, sizeof(part), "%s_bucket", name);
    for (int i = 0; i < JOBQ_DURATION_BUCKETS; i++) {
        int last = i == JOBQ_DURATION_BUCKETS - 1;
        below += d->buckets[i];
        if (!last && !d->buckets[i])
            continue;
        begin(out, part, queue);
        if (last)
            fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", below);
        else
            fprintf(out, ",le=\"%.3f\"} %" PRIu64 "\n", (double)jobq_duration_bound(i) / 1000, below);
    }
    snprintf(part, sizeof(part), "%s_count", name);
    begin(out, part, queue);
    fprintf(out, "} %" PRIu64 "\n", d->count);
    snprintf(part, sizeof(part), "%s_sum", name);
    begin(out, part, queue);
    fprintf(out, "} %.3f\n", (double)d->total_ms / 1000);
}

static void put_histograms(FILE *out, const struct jobq_stats *stats)
{
    family(out, "jobq_wait_seconds", "histogram", "seconds",
           "From when a job could start until it was claimed.");
    for (size_t i = 0; i < stats->queue_count; i++)
        put_durations(out, "jobq_wait_seconds", stats->queues[i].queue, &stats->queues[i].waited);
    family(out, "jobq_run_seconds", "histogram", "seconds", "From the claim until it completed or failed.");
    for (size_t i = 0; i < stats->queue_count; i++)
        put_durations(out, "jobq_run_seconds", stats->queues[i].queue, &stats->queues[i].ran);
}

static void put_states(FILE *out, const struct jobq_stats *stats)
{
    size_t alive = 0;

    family(out, "jobq_paused", "gauge", NULL, "1 while the queue is paused.");
    for (size_t i = 0; i < stats->queue_count; i++) {
        begin(out, "jobq_paused", stats->queues[i].queue);
        fprintf(out, "} %d\n", stats->queues[i].paused != 0);
    }
    family(out, "jobq_oldest_ready_seconds", "gauge", "seconds", "Age of the oldest ready job.");
    for (size_t i = 0; i < stats->queue_count; i++) {
        int64_t at = stats->queues[i].oldest_ready_at_ms;
        begin(out, "jobq_oldest_ready_seconds", stats->queues[i].queue);
        fprintf(out, "} %.3f\n", at && at < stats->now_ms ? (double)(stats->now_ms - at) / 1000 : 0.0);
    }
    for (size_t i = 0; i < stats->worker_count; i++)
        alive += stats->now_ms - stats->workers[i].seen_at_ms <= stats->workers[i].lease_ms;
    family(out, "jobq_workers", "gauge", NULL, "Workers seen within one of their leases.");
    fprintf(out, "jobq_workers %zu\n# EOF\n", alive);
}

void route_metrics(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct jobq_stats *stats = NULL;
    struct caller caller;
    FILE *out;
    int status;

    if (dash_enter(dash, request, "/metrics", &caller, reply) != 0)
        return;
    status = jobq_stats(dash->q, NULL, &stats);
    out = status == JOBQ_OK ? open_memstream(&reply->text, &reply->size) : NULL;
    if (!out) {
        dash_trouble(reply, status == JOBQ_OK ? JOBQ_NOMEM : status);
        jobq_stats_free(stats);
        return;
    }
    put_jobs(out, stats);
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        put_figure(out, &figures[i], stats);
    put_histograms(out, stats);
    put_states(out, stats);
    fclose(out);
    jobq_stats_free(stats);
    reply->status = 200;
    reply->type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
}
