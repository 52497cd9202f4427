/* SPDX-License-Identifier: MIT */
/* The dead letters, one by one or grouped by what went wrong. */
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "table.h"
#include "view.h"

enum { OPT_BY_ERROR = 1 };

/* Dead jobs that ended for the same reason with the same text but for its figures. */
struct group {
    uint64_t count;
    int reason;
    char text[JOBQ_FINGERPRINT_BYTES];
    int64_t first_at_ms, last_at_ms;
    struct jobq_id newest;
};

struct groups {
    struct group *items;
    size_t count, room;
};

static struct group *find(struct groups *groups, int reason, const char *text)
{
    for (size_t i = 0; i < groups->count; i++) {
        if (groups->items[i].reason == reason && strcmp(groups->items[i].text, text) == 0) {
            return &groups->items[i];
        }
    }
    if (groups->count == groups->room) {
        size_t room = groups->room ? groups->room * 2 : 16;
        struct group *items = realloc(groups->items, room * sizeof *items);
        if (!items) {
            return NULL;
        }
        groups->items = items;
        groups->room = room;
    }
    groups->items[groups->count] = (struct group){.reason = reason};
    strcpy(groups->items[groups->count].text, text);
    return &groups->items[groups->count++];
}

struct grouping {
    struct cli *cli;
    struct groups groups;
};

static int count_one(const struct jobq_job *job, void *user)
{
    struct grouping *grouping = user;
    char text[JOBQ_FINGERPRINT_BYTES];
    struct group *group;

    jobq_error_fingerprint(job, text);
    group = find(&grouping->groups, job->reason, text);
    if (!group) {
        return leave_error(grouping->cli, JOBQ_NOMEM, "", "out of memory");
    }
    group->count++;
    group->newest = job->id;
    if (group->count == 1 || job->finished_at_ms < group->first_at_ms) {
        group->first_at_ms = job->finished_at_ms;
    }
    if (job->finished_at_ms > group->last_at_ms) {
        group->last_at_ms = job->finished_at_ms;
    }
    return LEAVE_OK;
}

static int most_first(const void *left, const void *right)
{
    const struct group *a = left, *b = right;

    return (a->count < b->count) - (a->count > b->count);
}

static void answer_json(struct cli *cli, const struct groups *groups)
{
    struct json json = json_begin(cli);

    json_array(&json, NULL);
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *g = &groups->items[i];
        json_object(&json, NULL);
        json_uint(&json, "count", g->count);
        json_name(&json, "reason", jobq_reason_name(g->reason));
        json_text(&json, "error", g->text);
        json_instant(&json, "first_at", g->first_at_ms);
        json_instant(&json, "last_at", g->last_at_ms);
        json_id(&json, "newest", &g->newest);
        json_end(&json);
    }
    json_end(&json);
}

static void answer_table(struct cli *cli, const struct groups *groups)
{
    static const char *const heads[] = {"count", "reason", "error", "first_at", "last_at", "newest", NULL};
    struct table table;

    table_begin(&table, cli, heads);
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *g = &groups->items[i];
        table_int(&table, (int64_t)g->count);
        table_text(&table, jobq_reason_name(g->reason));
        table_text(&table, g->text);
        table_instant(&table, g->first_at_ms);
        table_instant(&table, g->last_at_ms);
        table_id(&table, &g->newest);
    }
    table_end(&table);
}

static int by_error(struct cli *cli, struct filter *filter)
{
    struct grouping grouping = {.cli = cli};
    int code = filter_read(cli, filter, count_one, &grouping);

    if (code == LEAVE_OK) {
        if (grouping.groups.count > 1) {
            qsort(grouping.groups.items, grouping.groups.count, sizeof *grouping.groups.items, most_first);
        }
        if (cli->json) {
            answer_json(cli, &grouping.groups);
        } else {
            answer_table(cli, &grouping.groups);
        }
    }
    free(grouping.groups.items);
    return code;
}

int run_dead(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {FILTER_OPTIONS,
                                            {"limit", required_argument, NULL, FILTER_LIMIT},
                                            {"after", required_argument, NULL, FILTER_AFTER},
                                            {"by-error", no_argument, NULL, OPT_BY_ERROR},
                                            {NULL, 0, NULL, 0}};
    struct args args;
    struct filter filter;
    int option, code, grouped = 0;

    filter_init(&filter, 0);
    args_begin(&args, cli, argc, argv, ":s:hn:", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if (option == OPT_BY_ERROR) {
            grouped = 1;
        } else if ((code = filter_take(cli, &filter, option == 'n' ? FILTER_LIMIT : option)) != LEAVE_OK) {
            return code;
        }
    }
    filter.jobs.states = 1u << JOBQ_DEAD;
    if (filter.wanted == 0) {
        filter.wanted = grouped ? SIZE_MAX : 100;
    }
    if ((code = args_operands(&args, 0, 0)) != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    return grouped ? by_error(cli, &filter) : view_list(cli, &filter);
}
