/* SPDX-License-Identifier: MIT */
/* `jobq retention`: how many of the jobs of a queue that have ended stay, and how long. */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "json.h"
#include "table.h"

/* One option for each member of struct jobq_keep. */
static const struct {
    const char *name;
    size_t offset;
    int is_age;
} members[] = {
    {"completed", offsetof(struct jobq_keep, completed), 0},
    {"completed-for", offsetof(struct jobq_keep, completed_ms), 1},
    {"dead", offsetof(struct jobq_keep, dead), 0},
    {"dead-for", offsetof(struct jobq_keep, dead_ms), 1},
    {"cancelled", offsetof(struct jobq_keep, cancelled), 0},
    {"cancelled-for", offsetof(struct jobq_keep, cancelled_ms), 1},
    {"results-for", offsetof(struct jobq_keep, results_ms), 1},
};

enum { MEMBERS = sizeof members / sizeof *members };

static int64_t *member(struct jobq_keep *keep, int i)
{
    return (int64_t *)(void *)((char *)keep + members[i].offset);
}

static int take_value(struct cli *cli, int i, const char *text, int64_t *out)
{
    if (strcmp(text, "all") == 0) {
        *out = JOBQ_KEEP_ALL;
    } else if (strcmp(text, "default") == 0) {
        *out = 0;
    } else if (strcmp(text, "none") == 0 && !members[i].is_age) {
        *out = JOBQ_KEEP_NONE;
    } else if (members[i].is_age) {
        return args_duration(cli, members[i].name, text, 1, MS_MAX, out);
    } else {
        return args_number(cli, members[i].name, text, 1, MS_MAX, out);
    }
    return LEAVE_OK;
}

static const char *word(int64_t value)
{
    return value == JOBQ_KEEP_ALL ? "all" : value == JOBQ_KEEP_NONE ? "none" : NULL;
}

static void answer_json(struct cli *cli, const char *queue, struct jobq_keep *keep)
{
    static const char *const names[MEMBERS] = {"completed", "completed_ms", "dead",
                                               "dead_ms",   "cancelled",    "cancelled_ms", "results_ms"};
    struct json json = json_begin(cli);

    json_object(&json, NULL);
    json_text(&json, "queue", queue);
    for (int i = 0; i < MEMBERS; i++) {
        int64_t value = *member(keep, i);
        if (word(value)) {
            json_text(&json, names[i], word(value));
        } else {
            json_int(&json, names[i], value);
        }
    }
    json_bool(&json, "own", keep->own);
    json_end(&json);
}

static void answer_table(struct cli *cli, const char *queue, struct jobq_keep *keep)
{
    static const char *const heads[] = {"queue",     "completed", "for_ms", "dead", "for_ms",
                                        "cancelled", "for_ms",    "results_for_ms", "values", NULL};
    struct table table;

    table_begin(&table, cli, heads);
    table_text(&table, queue);
    for (int i = 0; i < MEMBERS; i++) {
        int64_t value = *member(keep, i);
        if (word(value)) {
            table_text(&table, word(value));
        } else {
            table_int(&table, value);
        }
    }
    table_text(&table, keep->own ? "own" : "default");
    table_end(&table);
}

/* What is not named stays as it is; a store that cannot be asked what that is takes the defaults for it. */
static int set_values(struct cli *cli, const char *queue, const char *const *given)
{
    struct jobq_keep keep = {.size = sizeof keep};
    int status = jobq_keep_get(cli->q, queue, &keep);

    if (status < 0 && status != JOBQ_UNSUPPORTED) {
        return leave_status(cli, status, NULL);
    }
    if (status < 0 || !keep.own) {
        keep = (struct jobq_keep){.size = sizeof keep};
    }
    for (int i = 0; i < MEMBERS; i++) {
        int code = given[i] ? take_value(cli, i, given[i], member(&keep, i)) : LEAVE_OK;
        if (code != LEAVE_OK) {
            return code;
        }
    }
    keep.own = 0;
    return leave_status(cli, jobq_keep_set(cli->q, queue, &keep), NULL);
}

static int show(struct cli *cli, const char *queue)
{
    struct jobq_keep keep = {.size = sizeof keep};
    int status = jobq_keep_get(cli->q, queue, &keep);

    if (status < 0) {
        return leave_status(cli, status, NULL);
    }
    if (cli->json) {
        answer_json(cli, queue, &keep);
    } else {
        answer_table(cli, queue, &keep);
    }
    return LEAVE_OK;
}

int run_retention(struct cli *cli, int argc, char **argv)
{
    struct option options[MEMBERS + 1] = {{NULL, 0, NULL, 0}};
    const char *given[MEMBERS] = {NULL};
    struct args args;
    int option, code, sets = 0;

    for (int i = 0; i < MEMBERS; i++) {
        options[i] = (struct option){members[i].name, required_argument, NULL, i + 1};
    }
    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        int64_t ignored;
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        given[option - 1] = optarg;
        sets = 1;
        if ((code = take_value(cli, option - 1, optarg, &ignored)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 1, 1)) != LEAVE_OK) {
        return code;
    }
    if ((code = store_open_as(cli, sets ? STORE_MAKE : STORE_EXISTING)) == LEAVE_OK && sets) {
        code = set_values(cli, argv[optind], given);
    }
    return code == LEAVE_OK ? show(cli, argv[optind]) : code;
}
