/* SPDX-License-Identifier: MIT */
/* `jobq migrate`: bring a store to the schema of this version, or say what that would change. */
#include "args.h"
#include "json.h"
#include "table.h"

/* The schema of the store, 0 when there is none yet. Returns a code of the library. */
static int schema_of(struct cli *cli, int32_t *version, int32_t *known)
{
    struct jobq_stats *stats = NULL;
    int status = jobq_stats(cli->q, NULL, &stats);

    if (status >= 0) {
        *version = stats->schema_version;
        *known = stats->schema_known;
    }
    jobq_stats_free(stats);
    return status;
}

static void answer(struct cli *cli, int32_t from, int32_t to, int dry_run)
{
    static const char *const heads[] = {"from", "to", "what", NULL};
    const char *what = from == to ? "nothing to do"
                       : dry_run  ? "would be changed"
                       : from     ? "changed"
                                  : "made";
    struct table table;

    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_int(&json, "from", from);
        json_int(&json, "to", to);
        json_bool(&json, "changed", from != to && !dry_run);
        json_bool(&json, "dry_run", dry_run);
        json_end(&json);
        return;
    }
    table_begin(&table, cli, heads);
    table_int(&table, from);
    table_int(&table, to);
    table_text(&table, what);
    table_end(&table);
}

/* Look first, without touching anything. A store that is not there is not an error: from stays 0. */
static int look(struct cli *cli, int dry_run, int32_t *from, int32_t *known)
{
    int status = JOBQ_OK;
    int code = store_try(cli, JOBQ_OPEN_INSPECT, &status);

    if (code != LEAVE_OK) {
        return code;
    }
    if (status >= 0) {
        status = schema_of(cli, from, known);
    } else if (status == JOBQ_UNREACHABLE && !dry_run) {
        return LEAVE_OK; /* the next opening says whether it is not there or cannot be reached */
    }
    if (status < 0) {
        return leave_status(cli, status, NULL);
    }
    if (*from > *known) {
        return leave_error(cli, JOBQ_NEWER, "",
                           "the store has schema %d, this jobq %s knows %d at most; install a newer one",
                           *from, jobq_version(), *known);
    }
    return LEAVE_OK;
}

int run_migrate(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"dry-run", no_argument, NULL, 1}, {NULL, 0, NULL, 0}};
    struct args args;
    int32_t from = 0, to = 0, known = 0;
    int option, code, dry_run = 0;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        dry_run = 1;
    }
    if ((code = args_operands(&args, 0, 0)) != LEAVE_OK ||
        (code = look(cli, dry_run, &from, &known)) != LEAVE_OK) {
        return code;
    }
    if (!dry_run) {
        jobq_close(cli->q);
        cli->q = NULL;
        if ((code = store_open(cli)) != LEAVE_OK ||
            (code = leave_status(cli, schema_of(cli, &to, &known), NULL)) != LEAVE_OK) {
            return code;
        }
    }
    answer(cli, from, dry_run ? known : to, dry_run);
    return LEAVE_OK;
}
