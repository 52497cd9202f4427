/* SPDX-License-Identifier: MIT */
/* Verbs of an operator: one job, one queue, or many jobs at once. */
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

static int verb_on_id(struct cli *cli, const char *text, int (*verb)(struct jobq *, const struct jobq_id *))
{
    struct jobq_id id;
    int code = args_id(cli, text, &id);

    if (code != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    return view_done(cli, &id, verb(cli->q, &id));
}

static int cancel_soft(struct jobq *q, const struct jobq_id *id)
{
    return jobq_cancel(q, id, 0);
}

static int cancel_hard(struct jobq *q, const struct jobq_id *id)
{
    return jobq_cancel(q, id, JOBQ_CANCEL_HARD);
}

int run_cancel(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"hard", no_argument, NULL, 1}, {NULL, 0, NULL, 0}};
    struct args args;
    int option, code, hard = 0;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        hard = 1;
    }
    if ((code = args_operands(&args, 1, 1)) != LEAVE_OK) {
        return code;
    }
    return verb_on_id(cli, argv[optind], hard ? cancel_hard : cancel_soft);
}

int run_drop(struct cli *cli, int argc, char **argv)
{
    const char *id;
    int code = one_operand(cli, argc, argv, &id);

    return code == LEAVE_OK ? verb_on_id(cli, id, jobq_drop) : code;
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

/* ---- many at once ---- */

enum { OPT_ALL = 1, OPT_DRY_RUN };

struct bulk {
    struct filter filter;
    int all, dry_run, filtered;
};

typedef int bulk_verb(struct jobq *q, const struct jobq_filter *filter, int dry_run, struct jobq_bulk *out);

static int bulk_options(struct cli *cli, struct args *args, struct bulk *bulk)
{
    int option, code;

    filter_init(&bulk->filter, 0);
    while ((option = args_next(args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if (option == OPT_ALL) {
            bulk->all = 1;
        } else if (option == OPT_DRY_RUN) {
            bulk->dry_run = 1;
        } else if ((code = filter_take(cli, &bulk->filter, option)) != LEAVE_OK) {
            return code;
        } else {
            bulk->filtered = 1;
        }
    }
    return LEAVE_OK;
}

static int bulk_run(struct cli *cli, struct bulk *bulk, bulk_verb *verb)
{
    struct jobq_bulk done = {.size = sizeof done};
    int code = store_open(cli);
    int status;

    if (code != LEAVE_OK) {
        return code;
    }
    status = verb(cli->q, &bulk->filter.jobs, bulk->dry_run, &done);
    if (status < 0 && done.done > 0) {
        warn_text(cli, "%llu of %llu done before this:", (unsigned long long)done.done,
                  (unsigned long long)done.matched);
    }
    if (status >= 0) {
        view_bulk(cli, &done);
    }
    return leave_status(cli, status, NULL);
}

int run_redrive(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {FILTER_OPTIONS,
                                            {"all", no_argument, NULL, OPT_ALL},
                                            {"dry-run", no_argument, NULL, OPT_DRY_RUN},
                                            {NULL, 0, NULL, 0}};
    struct args args;
    struct bulk bulk = {0};
    int code;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    if ((code = bulk_options(cli, &args, &bulk)) != LEAVE_OK ||
        (code = args_operands(&args, bulk.all ? 0 : 1, bulk.all ? 0 : 1)) != LEAVE_OK) {
        return code;
    }
    if (bulk.all) {
        return bulk_run(cli, &bulk, jobq_redrive_all);
    }
    if (bulk.filtered || bulk.dry_run) {
        return leave_usage(cli, "all", "missing; a filter and --dry-run go with --all");
    }
    return verb_on_id(cli, argv[optind], jobq_redrive);
}

int run_purge(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {FILTER_OPTIONS,
                                            {"state", required_argument, NULL, FILTER_STATE},
                                            {"dry-run", no_argument, NULL, OPT_DRY_RUN},
                                            {NULL, 0, NULL, 0}};
    struct args args;
    struct bulk bulk = {0};
    int code;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    if ((code = bulk_options(cli, &args, &bulk)) != LEAVE_OK ||
        (code = args_operands(&args, 0, 0)) != LEAVE_OK) {
        return code;
    }
    if (bulk.filter.jobs.states == 0) {
        return leave_usage(cli, "state", "missing; purge removes jobs and wants to be told which");
    }
    return bulk_run(cli, &bulk, jobq_purge);
}
