/* SPDX-License-Identifier: MIT */
#include "outbox.h"

#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "json.h"
#include "table.h"

static inline int is_of(const struct cli *cli, const char *scheme)
{
    return strncmp(cli->uri, scheme, strlen(scheme)) == 0;
}

static int nowhere(struct cli *cli, struct outbox *outbox)
{
    (void)outbox;
    return leave_error(cli, JOBQ_UNSUPPORTED, "store",
                       "a table and its queue must be in one database, which is SQLite or Postgres");
}

/* The names of a store's own tables depend on its namespace. */
static int write_triggers(struct cli *cli, struct outbox *outbox)
{
    int (*writer)(struct cli *, struct outbox *) = nowhere;
    struct jobq_stats *stats;
    int code = leave_status(cli, jobq_stats(cli->q, outbox->queue, &stats), NULL);

    if (code != LEAVE_OK) {
        return code;
    }
    outbox->name_space = stats->name_space;
#ifdef HAVE_SQLITE
    if (is_of(cli, "sqlite:")) {
        writer = outbox_sqlite;
    }
#endif
#ifdef HAVE_POSTGRES
    if (is_of(cli, "postgres:") || is_of(cli, "postgresql:")) {
        writer = outbox_postgres;
    }
#endif
    code = writer(cli, outbox);
    jobq_stats_free(stats);
    return code;
}

static void answer(struct cli *cli, const struct outbox *outbox)
{
    static const char *const heads[] = {"table", "queue", "triggers", NULL};
    struct table table;

    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_text(&json, "table", outbox->table);
        json_text(&json, "queue", outbox->queue);
        json_bool(&json, "dry_run", outbox->dry_run);
        json_text(&json, "sql", outbox->sql);
        json_end(&json);
        return;
    }
    if (outbox->dry_run) {
        cli->answered = 1;
        fputs(outbox->sql, stdout);
        return;
    }
    table_begin(&table, cli, heads);
    table_text(&table, outbox->table);
    table_text(&table, outbox->queue);
    table_text(&table, "made");
    table_end(&table);
}

int run_outbox(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"queue", required_argument, NULL, 'q'},
                                            {"column", required_argument, NULL, 'c'},
                                            {"dry-run", no_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    struct outbox outbox = {.queue = "outbox"};
    struct args args;
    int option, code;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if (option == 'q') {
            outbox.queue = optarg;
        } else if (option == 'c') {
            outbox.column = optarg;
        } else {
            outbox.dry_run = 1;
        }
    }
    if ((code = args_operands(&args, 1, 1)) != LEAVE_OK) {
        return code;
    }
    outbox.table = argv[optind];
    if ((code = store_open_as(cli, outbox.dry_run ? STORE_EXISTING : STORE_MAKE)) != LEAVE_OK ||
        (code = write_triggers(cli, &outbox)) != LEAVE_OK) {
        return code;
    }
    answer(cli, &outbox);
    free(outbox.sql);
    return LEAVE_OK;
}
