/* SPDX-License-Identifier: MIT */
/* `jobq doctor`: gathers the facts, has them judged, prints what was found. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "findings.h"
#include "stats.h"
#include "table.h"

enum { LOG_MAX = 64 << 20 };

struct report {
    struct cli *cli;
    struct json json;
    int json_begun;
};

static void print_json(struct report *report, const struct finding *finding)
{
    if (!report->json_begun) {
        report->json = json_begin(report->cli);
        json_array(&report->json, NULL);
        report->json_begun = 1;
    }
    if (finding) {
        json_object(&report->json, NULL);
        json_text(&report->json, "finding", finding->name);
        json_text(&report->json, "fact", finding->fact);
        json_text(&report->json, "command", finding->command);
        json_end(&report->json);
    }
}

static void print_finding(const struct finding *finding, void *user)
{
    struct report *report = user;
    int tty = isatty(STDOUT_FILENO);

    if (report->cli->json) {
        print_json(report, finding);
        return;
    }
    report->cli->answered = 1;
    printf("%s%s", finding->name, tty ? ": " : "\t");
    table_plain(stdout, finding->fact);
    fputs(tty ? "  ->  " : "\t", stdout);
    table_plain(stdout, finding->command);
    putchar('\n');
}

/* What the store itself knows. `status` is of the opening. Returns a code of the library. */
static int ask_store(struct cli *cli, int status, struct jobq_stats **stats, struct jobq_jobs **stuck)
{
    struct jobq_filter running = {.size = sizeof running, .states = 1u << JOBQ_RUNNING, .limit = 1000};

    if (status >= 0) {
        status = jobq_stats(cli->q, NULL, stats);
    }
    if (status >= 0 && jobq_list(cli->q, &running, stuck) < 0) {
        *stuck = NULL; /* only an example would have come from there */
    }
    return status;
}

/* A namespace that is not there may have been meant to be the default one: whether somebody works in that or
 * beside it. */
static int ask_default(struct cli *cli, struct jobq_stats **stats)
{
    char *uri = uri_with_namespace(cli->uri, "jobq");
    const char *before = cli->uri;
    int status = JOBQ_NOMEM;

    if (uri) {
        cli->uri = uri;
        if (store_try(cli, JOBQ_OPEN_INSPECT, &status) == LEAVE_OK && status >= 0) {
            status = jobq_stats(cli->q, NULL, stats);
        }
    }
    cli->uri = before;
    free(uri);
    return status >= 0 ? LEAVE_OK : LEAVE_STORE;
}

/* `status` is of the opening. */
static int judge(struct cli *cli, const struct machine *machine, int64_t log_max, int status)
{
    struct report report = {.cli = cli};
    struct facts facts = {.machine = machine, .log_max_bytes = log_max};
    struct jobq_stats *stats = NULL;
    struct jobq_jobs *stuck = NULL;
    struct jobq_error error;
    char *absent = NULL;
    size_t found;

    status = ask_store(cli, status, &stats, &stuck);
    error = *jobq_last_error();
    if (status == JOBQ_UNREACHABLE && ask_default(cli, &stats) == LEAVE_OK) {
        facts.absent = absent = uri_namespace(cli->uri_shown);
    }
    facts.stats = stats;
    facts.stuck = stuck;
    facts.uri_known = cli->uri_shown;
    facts.uri = cli->uri_given ? cli->uri_shown : NULL;
    if (stats && !absent) {
        stats_identity(cli, stats);
    }
    found = findings_judge(&facts, print_finding, &report);
    if (cli->json && (status >= 0 || found)) {
        print_json(&report, NULL);
        json_end(&report.json);
    }
    jobq_jobs_free(stuck);
    jobq_stats_free(stats);
    free(absent);
    if (status < 0) {
        return leave_error(cli, status, error.field, "%s",
                           error.text[0] ? error.text : jobq_strerror(status));
    }
    return found ? LEAVE_REFUSED : LEAVE_OK;
}

int run_doctor(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"log-max", required_argument, NULL, 1}, {NULL, 0, NULL, 0}};
    struct args args;
    struct machine machine;
    int64_t log_max = LOG_MAX;
    char *file;
    int option, code, status = JOBQ_OK;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = args_number(cli, "log-max", optarg, 0, MS_MAX, &log_max)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 0, 0)) != LEAVE_OK ||
        (code = store_try(cli, JOBQ_OPEN_INSPECT, &status)) != LEAVE_OK) {
        return code;
    }
    file = store_file(cli->uri);
    machine_look(&machine, file);
    code = judge(cli, &machine, log_max, status);
    machine_free(&machine);
    free(file);
    return code;
}
