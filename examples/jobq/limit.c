/* SPDX-License-Identifier: MIT */
/* `jobq limit`: how much of a queue, a tenant or a plan may wait, run, start or be put; shown and set. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "json.h"
#include "table.h"

enum {
    OPT_GROUP = 1,
    OPT_EVERY_GROUP,
    OPT_PLAN,
    OPT_NO_PLAN,
    OPT_DEPTH,
    OPT_CONCURRENCY,
    OPT_GROUP_CONCURRENCY,
    OPT_RATE,
    OPT_QUOTA
};

/* What the command line asks for. */
struct wish {
    struct jobq_limit limit;
    const char *group, *plan;
    int no_plan;
};

/* ---- values as they are given ---- */

/* A number, "none" (no limit, whatever the plan says) or "unset" (no value of its own). */
static int take_count(struct cli *cli, const char *field, const char *text, int64_t *out)
{
    if (strcmp(text, "none") == 0 || strcmp(text, "unset") == 0) {
        *out = text[0] == 'n' ? JOBQ_LIMIT_NONE : JOBQ_LIMIT_UNSET;
        return LEAVE_OK;
    }
    if (!isdigit((unsigned char)text[0])) {
        return leave_usage(cli, field, "'%s' is not a number, none or unset", text);
    }
    return args_number(cli, field, text, 0, MS_MAX, out);
}

/* N/PERIOD, such as 100/s or 10/5m; or none, or unset. */
static int take_rate(struct cli *cli, const char *field, const char *text, int64_t *out, int64_t *period_ms)
{
    if (strcmp(text, "none") == 0 || strcmp(text, "unset") == 0) {
        return take_count(cli, field, text, out);
    }
    return args_rate(cli, field, text, 0, out, period_ms);
}

static int take_option(struct cli *cli, int option, struct wish *wish)
{
    struct jobq_limit *l = &wish->limit;

    switch (option) {
    case OPT_GROUP:
        wish->group = optarg;
        return optarg[0] ? LEAVE_OK : leave_usage(cli, "group", "is empty; --every-group stands for all");
    case OPT_EVERY_GROUP:
        wish->group = "";
        return LEAVE_OK;
    case OPT_PLAN:
        wish->plan = optarg;
        return LEAVE_OK;
    case OPT_NO_PLAN:
        wish->no_plan = 1;
        return LEAVE_OK;
    case OPT_DEPTH:
        l->set |= JOBQ_LIMIT_DEPTH;
        return take_count(cli, "depth", optarg, &l->depth);
    case OPT_CONCURRENCY:
        l->set |= JOBQ_LIMIT_CONCURRENCY;
        return take_count(cli, "concurrency", optarg, &l->concurrency);
    case OPT_GROUP_CONCURRENCY:
        l->set |= JOBQ_LIMIT_GROUP_CONCURRENCY;
        return take_count(cli, "group-concurrency", optarg, &l->group_concurrency);
    case OPT_RATE:
        l->set |= JOBQ_LIMIT_RATE;
        return take_rate(cli, "rate", optarg, &l->rate, &l->rate_period_ms);
    default:
        l->set |= JOBQ_LIMIT_QUOTA;
        return take_rate(cli, "quota", optarg, &l->quota, &l->quota_period_ms);
    }
}

/* Whose limits: a queue's, a group's, or, when no group is named, those of a plan. */
static int take_target(struct cli *cli, const char *queue, struct wish *wish)
{
    struct jobq_limit *l = &wish->limit;

    if (queue && (wish->group || wish->plan || wish->no_plan)) {
        return leave_usage(cli, "arguments", "a queue or --group or --plan, one of them");
    }
    if (wish->no_plan && (!wish->group || wish->plan)) {
        return leave_usage(cli, "no-plan", "goes with --group alone");
    }
    if (queue) {
        l->of = JOBQ_LIMIT_QUEUE;
        l->name = queue;
    } else if (wish->group) {
        l->of = JOBQ_LIMIT_GROUP;
        l->name = wish->group;
        l->plan = wish->plan ? wish->plan : "";
        l->set |= wish->plan || wish->no_plan ? JOBQ_LIMIT_PLAN_NAME : 0;
    } else if (wish->plan) {
        l->of = JOBQ_LIMIT_PLAN;
        l->name = wish->plan;
    } else if (l->set) {
        return leave_usage(cli, "arguments",
                           "missing; whose limit: QUEUE, --group NAME, --every-group or --plan NAME");
    }
    return LEAVE_OK;
}

/* ---- the answer ---- */

static const char *const targets[] = {"", "queue", "group", "plan"};

static const char *const heads[] = {
    "of",   "name",  "plan",    "depth",     "concurrency", "group_concurrency",
    "rate", "quota", "running", "rate_used", "quota_used",  NULL};

static void put_count(struct json *json, const char *name, int set, int64_t value)
{
    if (!set || value == JOBQ_LIMIT_UNSET) {
        json_null(json, name);
    } else if (value == JOBQ_LIMIT_NONE) {
        json_text(json, name, "none");
    } else {
        json_int(json, name, value);
    }
}

static void put_period(struct json *json, const char *name, int set, int64_t value, int64_t period_ms)
{
    if (set && value >= 0) {
        json_int(json, name, period_ms);
    } else {
        json_null(json, name);
    }
}

static void put_limit(struct json *json, const struct jobq_limit *l)
{
    const int rate = (l->set & JOBQ_LIMIT_RATE) != 0, quota = (l->set & JOBQ_LIMIT_QUOTA) != 0;

    json_object(json, NULL);
    json_text(json, "of", targets[l->of]);
    json_text(json, "name", l->name);
    json_name(json, "plan", l->set & JOBQ_LIMIT_PLAN_NAME ? l->plan : NULL);
    put_count(json, "depth", l->set & JOBQ_LIMIT_DEPTH, l->depth);
    put_count(json, "concurrency", l->set & JOBQ_LIMIT_CONCURRENCY, l->concurrency);
    put_count(json, "group_concurrency", l->set & JOBQ_LIMIT_GROUP_CONCURRENCY, l->group_concurrency);
    put_count(json, "rate", rate, l->rate);
    put_period(json, "rate_period_ms", rate, l->rate, l->rate_period_ms);
    put_count(json, "quota", quota, l->quota);
    put_period(json, "quota_period_ms", quota, l->quota, l->quota_period_ms);
    json_int(json, "running", l->running);
    json_int(json, "rate_used", l->rate_used);
    json_int(json, "rate_wait_ms", l->rate_wait_ms);
    json_int(json, "quota_used", l->quota_used);
    json_int(json, "quota_wait_ms", l->quota_wait_ms);
    json_end(json);
}

static void cell_count(struct table *table, int set, int64_t value)
{
    if (!set || value == JOBQ_LIMIT_UNSET) {
        table_text(table, "");
    } else if (value == JOBQ_LIMIT_NONE) {
        table_text(table, "none");
    } else {
        table_int(table, value);
    }
}

/* As it may be given: 100/s, 10/5m, 7/1500ms. */
static void cell_rate(struct table *table, int set, int64_t value, int64_t period_ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    char text[64];
    size_t i = 0;

    if (!set || value < 0) {
        cell_count(table, set, value);
        return;
    }
    while (period_ms % units[i].ms != 0) {
        i++;
    }
    if (period_ms == units[i].ms) {
        snprintf(text, sizeof text, "%lld/%s", (long long)value, units[i].name);
    } else {
        snprintf(text, sizeof text, "%lld/%lld%s", (long long)value, (long long)(period_ms / units[i].ms),
                 units[i].name);
    }
    table_text(table, text);
}

static void put_row(struct table *table, const struct jobq_limit *l)
{
    table_text(table, targets[l->of]);
    table_text(table, l->of == JOBQ_LIMIT_GROUP && !l->name[0] ? "*" : l->name);
    table_text(table, l->set & JOBQ_LIMIT_PLAN_NAME ? l->plan : "");
    cell_count(table, l->set & JOBQ_LIMIT_DEPTH, l->depth);
    cell_count(table, l->set & JOBQ_LIMIT_CONCURRENCY, l->concurrency);
    cell_count(table, l->set & JOBQ_LIMIT_GROUP_CONCURRENCY, l->group_concurrency);
    cell_rate(table, l->set & JOBQ_LIMIT_RATE, l->rate, l->rate_period_ms);
    cell_rate(table, l->set & JOBQ_LIMIT_QUOTA, l->quota, l->quota_period_ms);
    table_int(table, l->running);
    table_int(table, l->rate_used);
    table_int(table, l->quota_used);
}

static void answer_one(struct cli *cli, const struct jobq_limit *limit)
{
    struct table table;

    if (cli->json) {
        struct json json = json_begin(cli);
        put_limit(&json, limit);
        return;
    }
    table_begin(&table, cli, heads);
    put_row(&table, limit);
    table_end(&table);
}

/* ---- all of them ---- */

struct listing {
    struct json json;
    struct table table;
    int begun;
};

static void begin_list(struct cli *cli, struct listing *list)
{
    if (list->begun++) {
        return;
    }
    if (cli->json) {
        list->json = json_begin(cli);
        json_array(&list->json, NULL);
    } else {
        table_begin(&list->table, cli, heads);
    }
}

/* One page behind *after, which moves on; it is freed at the end of the last. Returns how many, or an error.
 */
static int list_page(struct cli *cli, int of, char **after, struct listing *list)
{
    struct jobq_limits *page = NULL;
    int status = jobq_limits(cli->q, of, NULL, *after, &page);
    size_t count = status < 0 ? 0 : page->count;

    free(*after);
    *after = NULL;
    if (status < 0) {
        return status;
    }
    begin_list(cli, list);
    for (size_t i = 0; i < count; i++) {
        if (cli->json) {
            put_limit(&list->json, &page->limits[i]);
        } else {
            put_row(&list->table, &page->limits[i]);
        }
    }
    /* Every group stands first and has no name that a page could be behind. */
    *after = count && page->limits[count - 1].name[0] ? strdup(page->limits[count - 1].name) : NULL;
    jobq_limits_free(page);
    return *after ? 1 : 0;
}

static int answer_all(struct cli *cli)
{
    struct listing list = {.begun = 0};
    int status = 0;

    for (int of = JOBQ_LIMIT_QUEUE; of <= JOBQ_LIMIT_PLAN && status >= 0; of++) {
        char *after = NULL;
        while ((status = list_page(cli, of, &after, &list)) > 0) {
        }
    }
    if (list.begun && cli->json) {
        json_end(&list.json);
    } else if (list.begun) {
        table_end(&list.table);
    }
    return leave_status(cli, status, NULL);
}

/* ---- the command ---- */

static int show_one(struct cli *cli, const struct jobq_limit *asked)
{
    struct jobq_limits *found = NULL;
    int status = jobq_limits(cli->q, asked->of, asked->name, NULL, &found);

    if (status == JOBQ_UNSUPPORTED && asked->set) {
        answer_one(cli, asked); /* a store that has depths alone took it and has no more to say */
        return LEAVE_OK;
    }
    if (status < 0) {
        return leave_status(cli, status, NULL);
    }
    if (found->count) {
        answer_one(cli, &found->limits[0]);
    }
    jobq_limits_free(found);
    return LEAVE_OK;
}

int run_limit(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"group", required_argument, NULL, OPT_GROUP},
        {"every-group", no_argument, NULL, OPT_EVERY_GROUP},
        {"plan", required_argument, NULL, OPT_PLAN},
        {"no-plan", no_argument, NULL, OPT_NO_PLAN},
        {"depth", required_argument, NULL, OPT_DEPTH},
        {"concurrency", required_argument, NULL, OPT_CONCURRENCY},
        {"group-concurrency", required_argument, NULL, OPT_GROUP_CONCURRENCY},
        {"rate", required_argument, NULL, OPT_RATE},
        {"quota", required_argument, NULL, OPT_QUOTA},
        {NULL, 0, NULL, 0}};
    struct wish wish = {.limit = {.size = sizeof wish.limit}};
    struct args args;
    int option, code, status;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = take_option(cli, option, &wish)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 0, 1)) != LEAVE_OK ||
        (code = take_target(cli, optind < argc ? argv[optind] : NULL, &wish)) != LEAVE_OK ||
        (code = store_open_as(cli, wish.limit.set ? STORE_MAKE : STORE_EXISTING)) != LEAVE_OK) {
        return code;
    }
    if (wish.limit.of == 0) {
        return answer_all(cli);
    }
    if (wish.limit.set && (status = jobq_limit_set(cli->q, &wish.limit)) < 0) {
        return leave_status(cli, status, NULL);
    }
    return show_one(cli, &wish.limit);
}
