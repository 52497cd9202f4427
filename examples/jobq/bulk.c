/* SPDX-License-Identifier: MIT */
/* Verbs for one job or for all that a filter names: cancel, redrive, drop, purge. */
#include "filter.h"
#include "view.h"

enum { OPT_ALL = 1, OPT_DRY_RUN, OPT_MAX, OPT_RATE, OPT_HARD, OPT_RESULTS };

#define BULK_OPTIONS                                                                                         \
    FILTER_OPTIONS, {"dry-run", no_argument, NULL, OPT_DRY_RUN},                                             \
    {                                                                                                        \
        "max", required_argument, NULL, OPT_MAX                                                              \
    }

struct bulk {
    struct filter filter;
    struct jobq_bulk_options options;
    int all, filtered, results;
};

typedef int bulk_verb(struct jobq *q, const struct jobq_filter *filter,
                      const struct jobq_bulk_options *options, struct jobq_bulk *out);

static int take_option(struct cli *cli, struct bulk *bulk, int option)
{
    struct jobq_bulk_options *o = &bulk->options;
    int64_t max = 0;
    int code;

    switch (option) {
    case OPT_ALL:
        bulk->all = 1;
        return LEAVE_OK;
    case OPT_DRY_RUN:
        o->dry_run = 1;
        return LEAVE_OK;
    case OPT_HARD:
        o->flags |= JOBQ_CANCEL_HARD;
        return LEAVE_OK;
    case OPT_RESULTS:
        bulk->results = 1;
        return LEAVE_OK;
    case OPT_MAX:
        code = args_number(cli, "max", optarg, 1, MS_MAX, &max);
        o->max = (uint64_t)max;
        return code;
    case OPT_RATE:
        return args_rate(cli, "rate", optarg, 1, &o->rate, &o->rate_period_ms);
    default:
        bulk->filtered = 1;
        return filter_take(cli, &bulk->filter, option);
    }
}

/* `one`: an id may stand in place of a filter. */
static int read_arguments(struct cli *cli, int argc, char **argv, const struct option *options, int one,
                          struct bulk *bulk)
{
    struct args args;
    int option, code, many;

    *bulk = (struct bulk){.options = {.size = sizeof bulk->options}};
    filter_init(&bulk->filter, 0);
    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = take_option(cli, bulk, option)) != LEAVE_OK) {
            return code;
        }
    }
    many = !one || bulk->all || bulk->filtered;
    code = args_operands(&args, many ? 0 : 1, many ? 0 : 1);
    if (code == LEAVE_OK && !many && (bulk->options.dry_run || bulk->options.max || bulk->options.rate)) {
        return leave_usage(cli, "all", "missing; --dry-run, --max and --rate go with --all or a filter");
    }
    return code;
}

static int run_many(struct cli *cli, struct bulk *bulk, bulk_verb *verb)
{
    struct jobq_bulk done = {.size = sizeof done};
    int code = store_open(cli);
    int status;

    if (code != LEAVE_OK) {
        return code;
    }
    status = verb(cli->q, &bulk->filter.jobs, &bulk->options, &done);
    if (status < 0 && done.done > 0) {
        warn_text(cli, "%llu of %llu done before this:", (unsigned long long)done.done,
                  (unsigned long long)done.matched);
    }
    if (status >= 0) {
        view_bulk(cli, &done);
    }
    return leave_status(cli, status, NULL);
}

static int is_one(const struct bulk *bulk)
{
    return !bulk->all && !bulk->filtered;
}

/* ---- cancel ---- */

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
    static const struct option options[] = {BULK_OPTIONS,
                                            {"state", required_argument, NULL, FILTER_STATE},
                                            {"all", no_argument, NULL, OPT_ALL},
                                            {"hard", no_argument, NULL, OPT_HARD},
                                            {NULL, 0, NULL, 0}};
    struct bulk bulk;
    int code = read_arguments(cli, argc, argv, options, 1, &bulk);

    if (code != LEAVE_OK) {
        return code;
    }
    if (is_one(&bulk)) {
        return verb_on_id(cli, argv[optind], bulk.options.flags ? cancel_hard : cancel_soft);
    }
    return run_many(cli, &bulk, jobq_bulk_cancel);
}

/* ---- redrive, drop, purge ---- */

int run_redrive(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {BULK_OPTIONS,
                                            {"all", no_argument, NULL, OPT_ALL},
                                            {"rate", required_argument, NULL, OPT_RATE},
                                            {NULL, 0, NULL, 0}};
    struct bulk bulk;
    int code = read_arguments(cli, argc, argv, options, 1, &bulk);

    if (code != LEAVE_OK) {
        return code;
    }
    return is_one(&bulk) ? verb_on_id(cli, argv[optind], jobq_redrive)
                         : run_many(cli, &bulk, jobq_bulk_redrive);
}

/* As redrive it means the dead letters unless other states are named. */
int run_drop(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {BULK_OPTIONS,
                                            {"state", required_argument, NULL, FILTER_STATE},
                                            {"all", no_argument, NULL, OPT_ALL},
                                            {NULL, 0, NULL, 0}};
    struct bulk bulk;
    int code = read_arguments(cli, argc, argv, options, 1, &bulk);

    if (code != LEAVE_OK) {
        return code;
    }
    if (is_one(&bulk)) {
        return verb_on_id(cli, argv[optind], jobq_drop);
    }
    if (bulk.filter.jobs.states == 0) {
        bulk.filter.jobs.states = 1u << JOBQ_DEAD;
    }
    return run_many(cli, &bulk, jobq_bulk_drop);
}

int run_purge(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {BULK_OPTIONS,
                                            {"state", required_argument, NULL, FILTER_STATE},
                                            {"results", no_argument, NULL, OPT_RESULTS},
                                            {NULL, 0, NULL, 0}};
    struct bulk bulk;
    int code = read_arguments(cli, argc, argv, options, 0, &bulk);

    if (code != LEAVE_OK) {
        return code;
    }
    if (bulk.results && bulk.filter.jobs.states & ~(1u << JOBQ_COMPLETED)) {
        return leave_usage(cli, "state", "only completed jobs have results");
    }
    if (!bulk.results && bulk.filter.jobs.states == 0) {
        return leave_usage(cli, "state", "missing; purge removes jobs and wants to be told which");
    }
    return run_many(cli, &bulk, bulk.results ? jobq_bulk_forget : jobq_bulk_drop);
}
