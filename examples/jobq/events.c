/* SPDX-License-Identifier: MIT */
/* `jobq events`: what happened, in order, one line each; and whether it is kept at all. */
#include <stdio.h>

#include "args.h"
#include "interrupt.h"
#include "json.h"
#include "table.h"

enum { LOOK_MS = 100 };

/* What the command line asks for. */
struct asked {
    int64_t after, keep;
    size_t limit; /* 0: no limit */
    int follow, sets_keep;
};

static void print_json(struct cli *cli, const struct jobq_event *e)
{
    struct json json = json_begin(cli);

    json_object(&json, NULL);
    json_int(&json, "cursor", e->cursor);
    json_instant(&json, "at", e->at_ms);
    json_id(&json, "id", &e->id);
    json_text(&json, "queue", e->queue);
    json_text(&json, "kind", e->kind);
    json_text(&json, "state", e->state ? jobq_state_name(e->state) : "removed");
    json_name(&json, "reason", jobq_reason_name(e->reason));
    json_int(&json, "attempt", e->attempt);
    json_name(&json, "worker", e->worker);
    json_end(&json);
}

static void print_row(struct table *table, const struct jobq_event *e)
{
    table_int(table, e->cursor);
    table_instant(table, e->at_ms);
    table_id(table, &e->id);
    table_text(table, e->queue);
    table_text(table, e->kind);
    table_text(table, e->state ? jobq_state_name(e->state) : "removed");
    table_text(table, jobq_reason_name(e->reason));
    table_int(table, e->attempt);
    table_text(table, e->worker);
}

static void print_page(struct cli *cli, const struct jobq_events *page)
{
    static const char *const heads[] = {"cursor", "at",     "id",      "queue",  "kind",
                                        "state",  "reason", "attempt", "worker", NULL};
    struct table table;

    if (page->lost) {
        fprintf(stderr, "jobq events: %llu older events are no longer kept\n", (unsigned long long)page->lost);
    }
    if (!cli->json) {
        table_begin(&table, cli, heads);
    }
    for (size_t i = 0; i < page->count; i++) {
        if (cli->json) {
            print_json(cli, &page->events[i]);
        } else {
            print_row(&table, &page->events[i]);
        }
    }
    if (!cli->json) {
        table_end(&table);
    }
    fflush(stdout);
}

static int run_pages(struct cli *cli, struct asked *asked)
{
    size_t left = asked->limit;

    for (;;) {
        size_t most = asked->limit && left < 1000 ? left : 1000;
        struct jobq_events *page;
        int status = jobq_events(cli->q, asked->after, most, &page);
        if (status < 0) {
            return leave_status(cli, status, NULL);
        }
        if (page->count || page->lost) {
            print_page(cli, page);
        }
        size_t count = page->count;
        asked->after = page->next;
        jobq_events_free(page);
        left -= asked->limit ? count : 0;
        if ((asked->limit && !left) || (!count && !asked->follow) || ferror(stdout)) {
            return LEAVE_OK;
        }
        if (!count && interrupt_rest(LOOK_MS)) {
            return LEAVE_OK;
        }
    }
}

static int read_option(struct cli *cli, int option, struct asked *asked)
{
    switch (option) {
    case 1:
        return args_number(cli, "after", optarg, 0, INT64_MAX - 1, &asked->after);
    case 2:
        asked->sets_keep = 1;
        return args_number(cli, "keep", optarg, 0, 100000000, &asked->keep);
    case 'f':
        asked->follow = 1;
        return LEAVE_OK;
    default:
        return args_size(cli, "limit", optarg, 1, 100000000, &asked->limit);
    }
}

/* Says how many, as one that was asked for. */
static int set_keep(struct cli *cli, int64_t keep)
{
    static const char *const heads[] = {"keep", NULL};
    int status = jobq_events_keep(cli->q, keep);
    struct table table;

    if (status < 0) {
        return leave_status(cli, status, NULL);
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_int(&json, "keep", keep);
        json_end(&json);
        return LEAVE_OK;
    }
    table_begin(&table, cli, heads);
    table_int(&table, keep);
    table_end(&table);
    return LEAVE_OK;
}

int run_events(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"after", required_argument, NULL, 1},
                                            {"keep", required_argument, NULL, 2},
                                            {"follow", no_argument, NULL, 'f'},
                                            {"limit", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct asked asked = {0};
    struct args args;
    int option, code;

    args_begin(&args, cli, argc, argv, ":s:hfn:", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = read_option(cli, option, &asked)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 0, 0)) != LEAVE_OK) {
        return code;
    }
    if (asked.follow) {
        interrupt_hold();
    }
    if ((code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    return asked.sets_keep ? set_keep(cli, asked.keep) : run_pages(cli, &asked);
}
