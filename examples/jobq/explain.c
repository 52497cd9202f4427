/* SPDX-License-Identifier: MIT */
/* `jobq explain`: why a job is not running, and the command that changes it. */
#include <stdio.h>

#include "args.h"
#include "instant.h"
#include "json.h"
#include "table.h"

/* What an operator would type next; "" where there is nothing to do. */
static void remedy(const struct jobq_id *id, const struct jobq_explanation *e, char *out, size_t size)
{
    char hex[33];

    jobq_id_format(id, hex);
    out[0] = '\0';
    if (e->why == JOBQ_WHY_PAUSED) {
        snprintf(out, size, "jobq resume %s", e->who);
    } else if (e->why == JOBQ_WHY_HELD) {
        snprintf(out, size, "jobq unhold %s", hex);
    } else if (e->why == JOBQ_WHY_DEAD || e->why == JOBQ_WHY_CANCELLED) {
        snprintf(out, size, "jobq redrive %s", hex);
    } else if (e->why == JOBQ_WHY_NO_WORKER) {
        snprintf(out, size, "jobq work %s -- COMMAND", e->who);
    } else if (e->why == JOBQ_WHY_LIMIT_QUEUE || e->why == JOBQ_WHY_RATE_QUEUE) {
        snprintf(out, size, "jobq limit %s", e->who);
    } else if (e->why == JOBQ_WHY_LIMIT_GROUP || e->why == JOBQ_WHY_RATE_GROUP) {
        snprintf(out, size, "jobq limit --group %s", e->who);
    } else if (e->why == JOBQ_WHY_LIMIT_QUEUE_GROUP) {
        snprintf(out, size, "jobq limit");
    } else if (e->why == JOBQ_WHY_DEPENDENCY) {
        jobq_id_format(&e->job, hex);
        snprintf(out, size, "jobq explain %s", hex);
    }
}

static void answer_json(struct cli *cli, const struct jobq_id *id, const struct jobq_explanation *e,
                        const char *command)
{
    struct json json = json_begin(cli);

    json_object(&json, NULL);
    json_id(&json, "id", id);
    json_text(&json, "why", jobq_why_name(e->why));
    json_text(&json, "text", e->text);
    json_name(&json, "who", e->who);
    json_uint(&json, "count", e->count);
    json_bool(&json, "at_least", e->at_least);
    json_instant(&json, "until", e->until_ms);
    if (e->why == JOBQ_WHY_DEPENDENCY) {
        json_id(&json, "job", &e->job);
    } else {
        json_null(&json, "job");
    }
    json_name(&json, "command", command);
    json_end(&json);
}

static void answer_row(struct cli *cli, const struct jobq_explanation *e, const char *command)
{
    static const char *const heads[] = {"why", "fact", "until", "command", NULL};
    struct table table;

    table_begin(&table, cli, heads);
    table_text(&table, jobq_why_name(e->why));
    table_text(&table, e->text);
    table_instant(&table, e->until_ms);
    table_text(&table, command);
    table_end(&table);
}

int run_explain(struct cli *cli, int argc, char **argv)
{
    struct jobq_explanation e = {.size = sizeof e};
    struct args args;
    struct jobq_id id;
    char command[300];
    int code, status;

    args_begin(&args, cli, argc, argv, ":s:h", NULL);
    if (args_next(&args) == ARGS_STOP) {
        return LEAVE_USAGE;
    }
    if ((code = args_operands(&args, 1, 1)) != LEAVE_OK ||
        (code = args_id(cli, argv[optind], &id)) != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    status = jobq_explain(cli->q, &id, &e);
    if (status < 0) {
        return leave_status(cli, status, &id);
    }
    remedy(&id, &e, command, sizeof command);
    if (cli->json) {
        answer_json(cli, &id, &e, command);
    } else {
        answer_row(cli, &e, command);
    }
    return LEAVE_OK;
}
