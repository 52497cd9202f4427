/* SPDX-License-Identifier: MIT */
/* `jobq health`: the figures at a glance, what is out of the ordinary, and what to do about it. */
#include <stdio.h>
#include <unistd.h>

#include "args.h"
#include "json.h"
#include "table.h"

static const char *const statuses[] = {"healthy", "warning", "critical"};

static void put_findings(struct json *json, const struct jobq_health *h)
{
    json_array(json, "issues");
    for (size_t i = 0; i < h->finding_count; i++) {
        const struct jobq_finding *f = &h->findings[i];
        json_object(json, NULL);
        json_text(json, "issue", jobq_finding_name(f->what));
        json_text(json, "severity", statuses[f->severity]);
        json_text(json, "queue", f->queue);
        json_uint(json, "value", f->value);
        json_uint(json, "limit", f->limit);
        json_text(json, "text", f->issue);
        json_text(json, "recommendation", f->recommendation);
        json_end(json);
    }
    json_end(json);
}

static void answer_json(struct cli *cli, const struct jobq_health *h)
{
    struct json json = json_begin(cli);

    json_object(&json, NULL);
    json_text(&json, "status", statuses[h->status]);
    json_uint(&json, "total", h->total);
    json_uint(&json, "pending", h->pending);
    json_uint(&json, "processing", h->processing);
    json_uint(&json, "completed", h->completed);
    json_uint(&json, "failed", h->failed);
    json_uint(&json, "stuck", h->stuck);
    json_ratio(&json, "error_rate", h->error_rate);
    json_int(&json, "average_ms", h->average_ms);
    json_int(&json, "average_wait_ms", h->average_wait_ms);
    json_instant(&json, "last_finished_at", h->last_finished_at_ms);
    put_findings(&json, h);
    json_end(&json);
}

static void answer_table(struct cli *cli, const struct jobq_health *h)
{
    static const char *const heads[] = {"severity", "queue", "issue", "text", "recommendation", NULL};
    struct table table;

    fprintf(stderr,
            "%s: %llu pending, %llu processing, %llu completed, %llu failed, %llu stuck, %lld ms on average\n",
            statuses[h->status], (unsigned long long)h->pending, (unsigned long long)h->processing,
            (unsigned long long)h->completed, (unsigned long long)h->failed, (unsigned long long)h->stuck,
            (long long)h->average_ms);
    table_begin(&table, cli, heads);
    for (size_t i = 0; i < h->finding_count; i++) {
        const struct jobq_finding *f = &h->findings[i];
        table_text(&table, statuses[f->severity]);
        table_text(&table, f->queue);
        table_text(&table, jobq_finding_name(f->what));
        table_text(&table, f->issue);
        table_text(&table, f->recommendation);
    }
    table_end(&table);
}

/* The limits that the caller names. `option` is where it stands in the table of run_health. */
static int set_limit(struct cli *cli, int option, struct jobq_thresholds *t)
{
    static const char *const fields[] = {"",      "errors-above",    "pending-above", "stuck-above",
                                         "critical-above", "average-above", "running-above"};
    int64_t number = 0;
    int code;

    if (option >= 5) {
        return args_duration(cli, fields[option], optarg, 1, MS_MAX, option == 5 ? &t->average_ms : &t->running_ms);
    }
    code = args_number(cli, fields[option], optarg, 1, option == 1 ? 100 : INT64_MAX, &number);
    if (option == 1) {
        t->error_percent = (int32_t)number;
    } else {
        *(option == 2 ? &t->pending_max : option == 3 ? &t->stuck_max : &t->stuck_critical) = (uint64_t)number;
    }
    return code;
}

int run_health(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"errors-above", required_argument, NULL, 1},   {"pending-above", required_argument, NULL, 2},
        {"stuck-above", required_argument, NULL, 3},    {"critical-above", required_argument, NULL, 4},
        {"average-above", required_argument, NULL, 5},  {"running-above", required_argument, NULL, 6},
        {NULL, 0, NULL, 0}};
    struct jobq_thresholds thresholds = {.size = sizeof thresholds};
    struct jobq_health *health = NULL;
    struct args args;
    int option, code, status;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = set_limit(cli, option, &thresholds)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 0, 1)) != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    status = jobq_health(cli->q, optind < argc ? argv[optind] : NULL, &thresholds, &health);
    if (status < 0) {
        return leave_status(cli, status, NULL);
    }
    if (cli->json) {
        answer_json(cli, health);
    } else {
        answer_table(cli, health);
    }
    code = health->status == JOBQ_SEVERITY_CRITICAL ? LEAVE_REFUSED : LEAVE_OK;
    jobq_health_free(health);
    return code;
}
