/* SPDX-License-Identifier: MIT */
/* show, list, wait. */
#include <string.h>

#include "filter.h"
#include "table.h"
#include "view.h"

static void answer_job(struct cli *cli, const struct jobq_job *job)
{
    if (cli->json) {
        struct json json = json_begin(cli);
        view_job(&json, job, 0);
    } else {
        view_sheet(cli, job);
    }
}

/* The bytes of one field as they are. */
static int answer_raw(struct cli *cli, const struct jobq_job *job, const char *field)
{
    const struct jobq_bytes none = {0};
    size_t errors = job->failures_log_count;
    const struct {
        const char *name;
        const struct jobq_bytes *bytes;
    } fields[] = {
        {"payload", &job->payload}, {"result", &job->result},
        {"key", &job->key},         {"progress", &job->progress},
        {"data", &job->data},       {"error", errors ? &job->failures_log[errors - 1].text : &none},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(fields[i].name, field) == 0) {
            cli->answered = 1;
            fwrite(fields[i].bytes->data ? fields[i].bytes->data : "", 1, fields[i].bytes->size, stdout);
            return LEAVE_OK;
        }
    }
    return leave_usage(cli, "raw", "'%s' is none of payload, result, key, progress, data, error", field);
}

int run_show(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"raw", required_argument, NULL, 1}, {NULL, 0, NULL, 0}};
    struct args args;
    struct jobq_id id;
    struct jobq_jobs *jobs = NULL;
    const char *raw = NULL;
    int option, code, status;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        raw = optarg;
    }
    if ((code = args_operands(&args, 1, 1)) != LEAVE_OK ||
        (code = args_id(cli, argv[optind], &id)) != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    status = jobq_get(cli->q, &id, &jobs);
    if (status < 0) {
        return leave_status(cli, status, &id);
    }
    if (raw) {
        code = answer_raw(cli, &jobs->jobs[0], raw);
    } else {
        answer_job(cli, &jobs->jobs[0]);
    }
    jobq_jobs_free(jobs);
    return code;
}

/* The array begins with the first job, so that a list that fails at once answers with the error instead. */
struct listing {
    struct cli *cli;
    struct json json;
    int begun;
};

static void begin_list(struct listing *listing)
{
    if (!listing->begun) {
        listing->json = json_begin(listing->cli);
        json_array(&listing->json, NULL);
        listing->begun = 1;
    }
}

static int list_json(const struct jobq_job *job, void *user)
{
    struct listing *listing = user;

    begin_list(listing);
    view_job(&listing->json, job, 0);
    return LEAVE_OK;
}

static int list_row(const struct jobq_job *job, void *user)
{
    struct table *table = user;

    table_id(table, &job->id);
    table_text(table, job->queue);
    table_text(table, job->kind);
    table_text(table, job->group);
    table_text(table, job->stuck ? "running (stuck)" : jobq_state_name(job->state));
    table_text(table, jobq_reason_name(job->reason));
    table_int(table, job->priority);
    table_int(table, job->attempt);
    table_int(table, job->failures);
    table_instant(table, job->created_at_ms);
    table_text(table, job->worker);
    return LEAVE_OK;
}

static int view_list_json(struct cli *cli, struct filter *filter)
{
    struct listing listing = {.cli = cli};
    int code = filter_read(cli, filter, list_json, &listing);

    if (code == LEAVE_OK) {
        begin_list(&listing);
    }
    if (listing.begun) {
        json_end(&listing.json);
    }
    return code;
}

int view_list(struct cli *cli, struct filter *filter)
{
    static const char *const heads[] = {"id",       "queue",   "kind",     "group",      "state",  "reason",
                                        "priority", "attempt", "failures", "created_at", "worker", NULL};
    struct table table;
    int code;

    if (cli->json) {
        return view_list_json(cli, filter);
    }
    table_begin(&table, cli, heads);
    code = filter_read(cli, filter, list_row, &table);
    table_end(&table);
    return code;
}

int run_list(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {FILTER_OPTIONS,
                                            {"state", required_argument, NULL, FILTER_STATE},
                                            {"limit", required_argument, NULL, FILTER_LIMIT},
                                            {"after", required_argument, NULL, FILTER_AFTER},
                                            {NULL, 0, NULL, 0}};
    struct args args;
    struct filter filter;
    int option, code;

    filter_init(&filter, 100);
    args_begin(&args, cli, argc, argv, ":s:hn:", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = filter_take(cli, &filter, option == 'n' ? FILTER_LIMIT : option)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 0, 0)) != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    return view_list(cli, &filter);
}

static int answer_wait(struct cli *cli, int status, const struct jobq_id *id, const struct jobq_jobs *jobs)
{
    if (jobs && jobs->count) {
        answer_job(cli, &jobs->jobs[0]);
    }
    if (status < 0) {
        return leave_status(cli, status, id);
    }
    return jobs && jobs->count && jobs->jobs[0].state == JOBQ_COMPLETED ? LEAVE_OK : LEAVE_REFUSED;
}

int run_wait(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"timeout", required_argument, NULL, 1}, {NULL, 0, NULL, 0}};
    struct args args;
    struct jobq_id id;
    struct jobq_jobs *jobs = NULL;
    int64_t timeout_ms = -1;
    int option, code, status;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = args_duration(cli, "timeout", optarg, 0, MS_MAX, &timeout_ms)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 1, 1)) != LEAVE_OK ||
        (code = args_id(cli, argv[optind], &id)) != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    status = jobq_wait(cli->q, &id, timeout_ms, &jobs);
    code = answer_wait(cli, status, &id, jobs);
    jobq_jobs_free(jobs);
    return code;
}
