/* SPDX-License-Identifier: MIT */
/* `jobq metrics`: the statistics as OpenMetrics text, for whoever scrapes. */
#include <inttypes.h>
#include <stdio.h>

#include "args.h"
#include "stats.h"

static void family(const char *name, const char *type, const char *unit, const char *help)
{
    printf("# TYPE %s %s\n", name, type);
    if (unit) {
        printf("# UNIT %s %s\n", name, unit);
    }
    printf("# HELP %s %s\n", name, help);
}

/* Inside the quotes of a label: backslash, quote and newline are escaped, all else is taken. */
static void label(const char *name, const char *value)
{
    printf("%s=\"", name);
    for (const char *c = value; *c; c++) {
        if (*c == '\\' || *c == '"') {
            putchar('\\');
        }
        putchar(*c);
    }
    putchar('"');
}

static void begin(const char *name, const char *queue)
{
    printf("%s{", name);
    label("queue", queue);
}

static void put_jobs(const struct jobq_stats *stats)
{
    family("jobq_jobs", "gauge", NULL, "Jobs present by state.");
    for (size_t i = 0; i < stats->queue_count; i++) {
        for (int state = 1; state < JOBQ_STATE_COUNT; state++) {
            begin("jobq_jobs", stats->queues[i].queue);
            printf(",state=\"%s\"} %" PRIu64 "\n", jobq_state_name(state), stats->queues[i].present[state]);
        }
    }
}

/* A figure of each queue, by where it stands in its statistics. */
struct figure {
    const char *name, *help;
    size_t offset;
};
#define AT(member) offsetof(struct jobq_queue_stats, member)

static const struct figure stuck = {"jobq_stuck", "Running jobs whose lease has run out.", AT(stuck)};
static const struct figure totals[] = {
    {"jobq_enqueued", "Jobs put since the queue began.", AT(enqueued_total)},
    {"jobq_completed", "Jobs completed since the queue began.", AT(completed_total)},
    {"jobq_failed", "Failures since the queue began.", AT(failed_total)},
    {"jobq_dead", "Jobs that became dead since the queue began.", AT(dead_total)},
    {"jobq_cancelled", "Jobs cancelled since the queue began.", AT(cancelled_total)},
    {"jobq_completed_trimmed", "Completed jobs that retention removed since the queue began.", AT(completed_trimmed)},
    {"jobq_dead_trimmed", "Dead jobs that retention removed since the queue began.", AT(dead_trimmed)},
    {"jobq_cancelled_trimmed", "Cancelled jobs that retention removed since the queue began.", AT(cancelled_trimmed)},
};

/* OpenMetrics wants the sample of a counter to end in _total, and its family not to. */
static void put_figure(const struct figure *f, const char *suffix, const struct jobq_stats *stats)
{
    family(f->name, *suffix ? "counter" : "gauge", NULL, f->help);
    for (size_t i = 0; i < stats->queue_count; i++) {
        const char *member = (const char *)&stats->queues[i] + f->offset;
        printf("%s%s{", f->name, suffix);
        label("queue", stats->queues[i].queue);
        printf("} %" PRIu64 "\n", *(const uint64_t *)(const void *)member);
    }
}

static void put_durations(const char *name, const char *queue, const struct jobq_durations *d)
{
    uint64_t below = 0;

    for (int i = 0; i < JOBQ_DURATION_BUCKETS; i++) {
        int last = i == JOBQ_DURATION_BUCKETS - 1;
        below += d->buckets[i];
        if (!last && !d->buckets[i]) {
            continue;
        }
        printf("%s_bucket{", name);
        label("queue", queue);
        if (last) {
            printf(",le=\"+Inf\"} %" PRIu64 "\n", below);
        } else {
            printf(",le=\"%.3f\"} %" PRIu64 "\n", (double)jobq_duration_bound(i) / 1000, below);
        }
    }
    printf("%s_count{", name);
    label("queue", queue);
    printf("} %" PRIu64 "\n%s_sum{", d->count, name);
    label("queue", queue);
    printf("} %.3f\n", (double)d->total_ms / 1000);
}

static void put_histograms(const struct jobq_stats *stats)
{
    family("jobq_wait_seconds", "histogram", "seconds", "From when a job could start until it was claimed.");
    for (size_t i = 0; i < stats->queue_count; i++) {
        put_durations("jobq_wait_seconds", stats->queues[i].queue, &stats->queues[i].waited);
    }
    family("jobq_run_seconds", "histogram", "seconds", "From the claim until it completed or failed.");
    for (size_t i = 0; i < stats->queue_count; i++) {
        put_durations("jobq_run_seconds", stats->queues[i].queue, &stats->queues[i].ran);
    }
}

static void put_states(const struct jobq_stats *stats)
{
    size_t alive = 0;

    family("jobq_paused", "gauge", NULL, "1 while the queue is paused.");
    for (size_t i = 0; i < stats->queue_count; i++) {
        begin("jobq_paused", stats->queues[i].queue);
        printf("} %d\n", stats->queues[i].paused != 0);
    }
    family("jobq_oldest_ready_seconds", "gauge", "seconds", "Age of the oldest ready job.");
    for (size_t i = 0; i < stats->queue_count; i++) {
        int64_t at = stats->queues[i].oldest_ready_at_ms;
        begin("jobq_oldest_ready_seconds", stats->queues[i].queue);
        printf("} %.3f\n", at && at < stats->now_ms ? (double)(stats->now_ms - at) / 1000 : 0.0);
    }
    for (size_t i = 0; i < stats->worker_count; i++) {
        alive += (size_t)stats_alive(stats, &stats->workers[i]);
    }
    family("jobq_workers", "gauge", NULL, "Workers seen within one of their leases.");
    printf("jobq_workers %zu\n", alive);
}

int run_metrics(struct cli *cli, int argc, char **argv)
{
    struct jobq_stats *stats = NULL;
    struct args args;
    int code, status;

    args_begin(&args, cli, argc, argv, ":s:h", NULL);
    if (args_next(&args) == ARGS_STOP) {
        return LEAVE_USAGE;
    }
    if ((code = args_operands(&args, 0, 0)) != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    status = jobq_stats(cli->q, NULL, &stats);
    if (status < 0) {
        return leave_status(cli, status, NULL);
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        stats_members(&json, stats);
        json_end(&json);
        jobq_stats_free(stats);
        return LEAVE_OK;
    }
    cli->answered = 1;
    put_jobs(stats);
    put_figure(&stuck, "", stats);
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++) {
        put_figure(&totals[i], "_total", stats);
    }
    put_histograms(stats);
    put_states(stats);
    puts("# EOF");
    jobq_stats_free(stats);
    return LEAVE_OK;
}
