/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "args.h"
#include "table.h"
#include "view.h"

enum { OPT_LIMIT = 'n', OPT_LEASE = 1, OPT_KIND, OPT_WORKER, OPT_ACK, OPT_RAW, KIND_MAX = 256 };

static const struct option options[] = {
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"lease", required_argument, NULL, OPT_LEASE},
    {"kind", required_argument, NULL, OPT_KIND},
    {"worker", required_argument, NULL, OPT_WORKER},
    {"ack", required_argument, NULL, OPT_ACK},
    {"raw", no_argument, NULL, OPT_RAW},
    {NULL, 0, NULL, 0},
};

struct request {
    struct jobq_claim_options claim;
    const char *queues[64], *kinds[KIND_MAX];
    int raw;
};

static int take_option(struct cli *cli, struct request *request, int option)
{
    struct jobq_claim_options *claim = &request->claim;

    switch (option) {
    case OPT_LIMIT:
        return args_size(cli, "limit", optarg, 1, 1000, &claim->limit);
    case OPT_LEASE:
        return args_duration(cli, "lease", optarg, 100, 86400000, &claim->lease_ms);
    case OPT_KIND:
        if (claim->kind_count == KIND_MAX) {
            return leave_usage(cli, "kind", "more than %d are given", KIND_MAX);
        }
        request->kinds[claim->kind_count++] = optarg;
        return LEAVE_OK;
    case OPT_WORKER:
        claim->worker = optarg;
        return LEAVE_OK;
    case OPT_ACK:
        claim->flags |= JOBQ_ACK_EARLY;
        return strcmp(optarg, "early") == 0 ? LEAVE_OK : leave_usage(cli, "ack", "'%s' is not early", optarg);
    default:
        request->raw = 1;
        return LEAVE_OK;
    }
}

static int read_arguments(struct cli *cli, struct request *request, int argc, char **argv)
{
    struct args args;
    int option, code;

    args_begin(&args, cli, argc, argv, ":s:hn:", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = take_option(cli, request, option)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 1, 64)) != LEAVE_OK) {
        return code;
    }
    while (optind < argc) {
        request->queues[request->claim.queue_count++] = argv[optind++];
    }
    request->claim.queues = request->queues;
    request->claim.kinds = request->claim.kind_count ? request->kinds : NULL;
    return LEAVE_OK;
}

static void answer_raw(struct cli *cli, const struct jobq_jobs *jobs)
{
    cli->answered = 1;
    for (size_t i = 0; i < jobs->count; i++) {
        const struct jobq_job *job = &jobs->jobs[i];
        char id[33], token[33];

        jobq_id_format(&job->id, id);
        jobq_token_format(&job->token, token);
        printf("%s\t%s\t%d\t%zu\n", id, token, job->attempt, job->payload.size);
        fwrite(job->payload.data ? job->payload.data : "", 1, job->payload.size, stdout);
        putchar('\n');
    }
}

static void answer_table(struct cli *cli, const struct jobq_jobs *jobs)
{
    static const char *const heads[] = {"id", "token", "attempt", "kind", "payload", NULL};
    struct table table;

    table_begin(&table, cli, heads);
    for (size_t i = 0; i < jobs->count; i++) {
        const struct jobq_job *job = &jobs->jobs[i];
        char token[33];

        jobq_token_format(&job->token, token);
        table_id(&table, &job->id);
        table_text(&table, token);
        table_int(&table, job->attempt);
        table_text(&table, job->kind);
        table_bytes(&table, &job->payload);
    }
    table_end(&table);
}

static void answer(struct cli *cli, const struct jobq_jobs *jobs, int raw)
{
    if (cli->json) {
        struct json json = json_begin(cli);
        json_array(&json, NULL);
        for (size_t i = 0; i < jobs->count; i++) {
            view_job(&json, &jobs->jobs[i], 1);
        }
        json_end(&json);
    } else if (raw) {
        answer_raw(cli, jobs);
    } else if (jobs->count > 0) {
        answer_table(cli, jobs);
    }
}

int run_claim(struct cli *cli, int argc, char **argv)
{
    struct request request = {.claim = {.size = sizeof request.claim}};
    struct jobq_jobs *jobs = NULL;
    int code = read_arguments(cli, &request, argc, argv);
    int status;

    if (code != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    status = jobq_claim(cli->q, &request.claim, &jobs);
    if (status < 0) {
        return leave_status(cli, status, NULL);
    }
    answer(cli, jobs, request.raw);
    jobq_jobs_free(jobs);
    return LEAVE_OK;
}
