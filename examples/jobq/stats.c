/* SPDX-License-Identifier: MIT */
/* stats, queues. */
#include <string.h>

#include "args.h"
#include "instant.h"
#include "stats.h"
#include "table.h"

void stats_store_id(const struct jobq_stats *stats, char out[33])
{
    struct jobq_id id;

    memcpy(id.bytes, stats->store_id, sizeof id.bytes);
    jobq_id_format(&id, out);
}

void stats_identity(const struct cli *cli, const struct jobq_stats *stats)
{
    char id[33];

    if (cli->json) {
        return;
    }
    stats_store_id(stats, id);
    fprintf(stderr, "store     %s, ", stats->engine);
    table_plain(stderr, stats->address);
    fprintf(stderr, "\nnamespace %s, id %s, schema %d (this jobq writes %d)\ndurable   %s\n",
            stats->name_space, id, stats->schema_version, stats->schema_known, stats->durability);
}

static void put_store(struct json *json, const struct jobq_stats *stats)
{
    char id[33];

    stats_store_id(stats, id);
    json_object(json, "store");
    json_text(json, "engine", stats->engine);
    json_text(json, "address", stats->address);
    json_text(json, "namespace", stats->name_space);
    json_text(json, "store_id", id);
    json_int(json, "schema_version", stats->schema_version);
    json_int(json, "schema_known", stats->schema_known);
    json_text(json, "durability", stats->durability);
    if (stats->log_bytes >= 0) {
        json_int(json, "log_bytes", stats->log_bytes);
    } else {
        json_null(json, "log_bytes");
    }
    json_instant(json, "now", stats->now_ms);
    json_end(json);
}

static void put_counts(struct json *json, const struct jobq_queue_stats *q)
{
    for (int state = 1; state < JOBQ_STATE_COUNT; state++) {
        json_uint(json, jobq_state_name(state), q->present[state]);
    }
    json_uint(json, "stuck", q->stuck);
    json_uint(json, "enqueued_total", q->enqueued_total);
    json_uint(json, "completed_total", q->completed_total);
    json_uint(json, "dead_total", q->dead_total);
    json_uint(json, "cancelled_total", q->cancelled_total);
    json_uint(json, "failed_total", q->failed_total);
    json_uint(json, "completed_trimmed", q->completed_trimmed);
    json_uint(json, "dead_trimmed", q->dead_trimmed);
    json_uint(json, "cancelled_trimmed", q->cancelled_trimmed);
    json_bool(json, "at_least", q->at_least);
}

static void put_durations(struct json *json, const char *name, const struct jobq_durations *d)
{
    json_object(json, name);
    json_uint(json, "count", d->count);
    json_int(json, "average_ms", d->count ? d->total_ms / (int64_t)d->count : 0);
    json_int(json, "p50_ms", jobq_durations_quantile(d, 500));
    json_int(json, "p95_ms", jobq_durations_quantile(d, 950));
    json_int(json, "p99_ms", jobq_durations_quantile(d, 990));
    json_end(json);
}

static void put_recent(struct json *json, const char *name, const struct jobq_recent *r)
{
    double seconds = r->window_ms > 0 ? (double)r->window_ms / 1000 : 1;

    json_object(json, name);
    json_int(json, "window_ms", r->window_ms);
    json_uint(json, "completed", r->completed);
    json_uint(json, "failed", r->failed);
    json_ratio(json, "completed_per_s", (double)r->completed / seconds);
    json_ratio(json, "failed_per_s", (double)r->failed / seconds);
    json_end(json);
}

static void put_queue(struct json *json, const struct jobq_queue_stats *q)
{
    json_object(json, NULL);
    json_text(json, "queue", q->queue);
    put_counts(json, q);
    json_instant(json, "oldest_ready_at", q->oldest_ready_at_ms);
    json_bool(json, "paused", q->paused);
    put_durations(json, "waited", &q->waited);
    put_durations(json, "ran", &q->ran);
    put_recent(json, "last_minute", &q->last_minute);
    put_recent(json, "last_quarter", &q->last_quarter);
    json_instant(json, "last_finished_at", q->last_finished_at_ms);
    json_end(json);
}

static void put_queues(struct json *json, const char *name, const struct jobq_stats *stats)
{
    json_array(json, name);
    for (size_t i = 0; i < stats->queue_count; i++) {
        put_queue(json, &stats->queues[i]);
    }
    json_end(json);
}

static void put_total(struct json *json, const struct jobq_stats *stats)
{
    struct jobq_queue_stats sum;

    jobq_stats_total(stats, &sum);
    json_object(json, "total");
    put_counts(json, &sum);
    json_end(json);
}

static void put_workers(struct json *json, const struct jobq_stats *stats)
{
    json_array(json, "workers");
    for (size_t i = 0; i < stats->worker_count; i++) {
        const struct jobq_worker_stats *w = &stats->workers[i];
        json_object(json, NULL);
        json_text(json, "worker", w->name);
        json_text(json, "host", w->host);
        json_int(json, "pid", w->pid);
        json_instant(json, "started_at", w->started_at_ms);
        json_instant(json, "seen_at", w->seen_at_ms);
        json_bool(json, "alive", stats_alive(stats, w));
        json_int(json, "lease_ms", w->lease_ms);
        json_text(json, "queues", w->queues);
        json_name(json, "kinds", w->kinds);
        json_int(json, "capacity", w->capacity);
        json_int(json, "running", w->running);
        json_bool(json, "stop_asked", w->stop_asked);
        json_end(json);
    }
    json_end(json);
}

static void put_rest(struct json *json, const struct jobq_stats *stats)
{
    json_array(json, "kinds");
    for (size_t i = 0; i < stats->kind_count; i++) {
        json_object(json, NULL);
        json_text(json, "queue", stats->kinds[i].queue);
        json_text(json, "kind", stats->kinds[i].kind);
        json_uint(json, "ready", stats->kinds[i].ready);
        json_end(json);
    }
    json_end(json);
    json_array(json, "namespaces");
    for (size_t i = 0; i < stats->namespace_count; i++) {
        json_object(json, NULL);
        json_text(json, "namespace", stats->namespaces[i].name);
        json_uint(json, "workers", stats->namespaces[i].workers);
        json_end(json);
    }
    json_end(json);
}

static void table_queue(struct table *table, const struct jobq_queue_stats *q)
{
    table_text(table, q->queue);
    for (int state = 1; state < JOBQ_STATE_COUNT; state++) {
        table_int(table, (int64_t)q->present[state]);
    }
    table_int(table, (int64_t)q->stuck);
    table_int(table, (int64_t)q->enqueued_total);
    table_int(table, (int64_t)q->completed_total);
    table_int(table, (int64_t)q->failed_total);
    table_int(table, (int64_t)q->dead_trimmed);
    table_instant(table, q->oldest_ready_at_ms);
    table_text(table, q->paused ? "paused" : "");
}

static void show_queues(struct cli *cli, const struct jobq_stats *stats)
{
    static const char *const heads[] = {
        "queue",           "blocked",      "scheduled",       "ready",  "running",
        "completed",       "dead",         "cancelled",       "stuck",  "enqueued_total",
        "completed_total", "failed_total", "dead_trimmed",    "oldest_ready_at", "paused", NULL};
    struct table table;

    table_begin(&table, cli, heads);
    for (size_t i = 0; i < stats->queue_count; i++) {
        table_queue(&table, &stats->queues[i]);
    }
    table_end(&table);
}

static void show_workers(const struct jobq_stats *stats)
{
    for (size_t i = 0; i < stats->worker_count; i++) {
        const struct jobq_worker_stats *w = &stats->workers[i];
        fputs("worker    ", stderr);
        table_plain(stderr, w->name);
        fprintf(stderr, ", %d of %d busy, seen %lld ms ago, queues ", w->running, w->capacity,
                (long long)(stats->now_ms - w->seen_at_ms));
        table_plain(stderr, w->queues);
        putc('\n', stderr);
    }
}

/* Both commands: at most one operand, the name of a queue. */
static int read_stats(struct cli *cli, int argc, char **argv, int max_operands, struct jobq_stats **out)
{
    struct args args;
    int code;

    args_begin(&args, cli, argc, argv, ":s:h", NULL);
    if (args_next(&args) == ARGS_STOP) {
        return LEAVE_USAGE;
    }
    if ((code = args_operands(&args, 0, max_operands)) != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    return leave_status(cli, jobq_stats(cli->q, optind < argc ? argv[optind] : NULL, out), NULL);
}

void stats_members(struct json *json, const struct jobq_stats *stats)
{
    put_store(json, stats);
    put_queues(json, "queues", stats);
    put_total(json, stats);
    put_workers(json, stats);
    put_rest(json, stats);
}

int run_stats(struct cli *cli, int argc, char **argv)
{
    struct jobq_stats *stats = NULL;
    int code = read_stats(cli, argc, argv, 1, &stats);

    if (code != LEAVE_OK) {
        return code;
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        stats_members(&json, stats);
        json_end(&json);
    } else {
        stats_identity(cli, stats);
        show_workers(stats);
        show_queues(cli, stats);
    }
    jobq_stats_free(stats);
    return LEAVE_OK;
}

int run_queues(struct cli *cli, int argc, char **argv)
{
    struct jobq_stats *stats = NULL;
    int code = read_stats(cli, argc, argv, 0, &stats);

    if (code != LEAVE_OK) {
        return code;
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        put_queues(&json, NULL, stats);
    } else {
        show_queues(cli, stats);
    }
    jobq_stats_free(stats);
    return LEAVE_OK;
}
