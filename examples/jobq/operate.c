/* SPDX-License-Identifier: MIT */
/* Verbs of an operator for one job, one queue or one worker; those for many jobs are in bulk.c. */
#include "filter.h"
#include "table.h"
#include "view.h"

/* No options of its own and one operand. */
static int one_operand(struct cli *cli, int argc, char **argv, const char **out)
{
    struct args args;
    int code;

    args_begin(&args, cli, argc, argv, ":s:h", NULL);
    if (args_next(&args) == ARGS_STOP) {
        return LEAVE_USAGE;
    }
    code = args_operands(&args, 1, 1);
    if (code == LEAVE_OK) {
        *out = argv[optind];
    }
    return code;
}

int verb_on_id(struct cli *cli, const char *text, int (*verb)(struct jobq *, const struct jobq_id *))
{
    struct jobq_id id;
    int code = args_id(cli, text, &id);

    if (code != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    return view_done(cli, &id, verb(cli->q, &id));
}

int run_unhold(struct cli *cli, int argc, char **argv)
{
    const char *id;
    int code = one_operand(cli, argc, argv, &id);

    return code == LEAVE_OK ? verb_on_id(cli, id, jobq_unhold) : code;
}

static int verb_on_queue(struct cli *cli, int argc, char **argv, int (*verb)(struct jobq *, const char *),
                         int paused)
{
    static const char *const heads[] = {"queue", "paused", NULL};
    struct table table;
    const char *queue;
    int code = one_operand(cli, argc, argv, &queue);
    int status;

    if (code != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    if ((status = verb(cli->q, queue)) < 0) {
        return leave_status(cli, status, NULL);
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_text(&json, "queue", queue);
        json_bool(&json, "paused", paused);
        json_end(&json);
        return LEAVE_OK;
    }
    table_begin(&table, cli, heads);
    table_text(&table, queue);
    table_text(&table, paused ? "paused" : "running");
    table_end(&table);
    return LEAVE_OK;
}

int run_pause(struct cli *cli, int argc, char **argv)
{
    return verb_on_queue(cli, argc, argv, jobq_pause, 1);
}

int run_resume(struct cli *cli, int argc, char **argv)
{
    return verb_on_queue(cli, argc, argv, jobq_resume, 0);
}

int run_sweep(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"limit", required_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
    struct args args;
    size_t limit = 1000, count = 0;
    int option, code, status;

    args_begin(&args, cli, argc, argv, ":s:hn:", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = args_size(cli, "limit", optarg, 1, 1000, &limit)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 0, 0)) != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    if ((status = jobq_sweep(cli->q, limit, &count)) < 0) {
        return leave_status(cli, status, NULL);
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_uint(&json, "judged", count);
        json_end(&json);
    } else {
        cli->answered = 1;
        printf("%zu\n", count);
    }
    return LEAVE_OK;
}

/* It hears of it with its next heartbeat: this does not wait for that. */
int run_stop(struct cli *cli, int argc, char **argv)
{
    static const char *const heads[] = {"worker", "status", NULL};
    struct table table;
    const char *worker;
    int code = one_operand(cli, argc, argv, &worker);
    int status;

    if (code != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    if ((status = jobq_ask_stop(cli->q, worker)) < 0) {
        return leave_status(cli, status, NULL);
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_text(&json, "worker", worker);
        json_text(&json, "status", jobq_status_name(status));
        json_end(&json);
        return LEAVE_OK;
    }
    table_begin(&table, cli, heads);
    table_text(&table, worker);
    table_text(&table, "asked to stop");
    table_end(&table);
    return LEAVE_OK;
}
