/* SPDX-License-Identifier: MIT */
/* `jobq log`: what handlers have noted on a job; and another line from who holds it. */
#include "args.h"
#include "table.h"
#include "view.h"

enum { TEXT_MAX = 2048 }; /* what is kept of a line */

static void answer_json(struct cli *cli, const struct jobq_job *job)
{
    struct json json = json_begin(cli);

    json_array(&json, NULL);
    for (size_t i = 0; i < job->log_count; i++) {
        const struct jobq_log_line *line = &job->log[i];
        json_object(&json, NULL);
        json_instant(&json, "at", line->at_ms);
        json_int(&json, "attempt", line->attempt);
        json_name(&json, "worker", line->worker);
        json_bytes(&json, "text", &line->text);
        json_end(&json);
    }
    json_end(&json);
}

static void answer_table(struct cli *cli, const struct jobq_job *job)
{
    static const char *const heads[] = {"at", "attempt", "worker", "text", NULL};
    struct table table;

    table_begin(&table, cli, heads);
    for (size_t i = 0; i < job->log_count; i++) {
        const struct jobq_log_line *line = &job->log[i];
        table_instant(&table, line->at_ms);
        table_int(&table, line->attempt);
        table_text(&table, line->worker);
        table_bytes(&table, &line->text);
    }
    table_end(&table);
}

static int show(struct cli *cli, const struct jobq_id *id)
{
    struct jobq_jobs *jobs = NULL;
    int status = jobq_get(cli->q, id, &jobs);

    if (status < 0) {
        return leave_status(cli, status, id);
    }
    if (cli->json) {
        answer_json(cli, &jobs->jobs[0]);
    } else {
        answer_table(cli, &jobs->jobs[0]);
    }
    jobq_jobs_free(jobs);
    return LEAVE_OK;
}

static int add(struct cli *cli, const struct jobq_id *id, const char *token_text, const char *text)
{
    struct jobq_token token;
    struct jobq_bytes bytes = {0};
    int code = args_token(cli, token_text, &token);

    if (code == LEAVE_OK) {
        code = args_bytes(cli, "text", text, TEXT_MAX, &bytes);
    }
    if (code == LEAVE_OK && (code = store_open(cli)) == LEAVE_OK) {
        code = view_done(cli, id, jobq_log(cli->q, id, &token, bytes.data, bytes.size));
    }
    args_free(&bytes);
    return code;
}

int run_log(struct cli *cli, int argc, char **argv)
{
    struct args args;
    struct jobq_id id;
    int code;

    args_begin(&args, cli, argc, argv, ":s:h", NULL);
    if (args_next(&args) == ARGS_STOP) {
        return LEAVE_USAGE;
    }
    if ((code = args_operands(&args, 1, 3)) != LEAVE_OK || (code = args_id(cli, argv[optind], &id)) != LEAVE_OK) {
        return code;
    }
    if (argc - optind == 2) {
        return leave_usage(cli, "text", "missing; a token goes with the line to add");
    }
    if (argc - optind == 3) {
        return add(cli, &id, argv[optind + 1], argv[optind + 2]);
    }
    return (code = store_open(cli)) == LEAVE_OK ? show(cli, &id) : code;
}
