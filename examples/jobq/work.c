/* SPDX-License-Identifier: MIT */
/* `jobq work`: options, signals, and the worker of the library. What happens to one job is in run.c. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "json.h"
#include "run.h"

enum {
    OPT_JOBS = 'j',
    OPT_LEASE = 1,
    OPT_KIND,
    OPT_DRAIN,
    OPT_ACK,
    OPT_GRACE,
    OPT_TIMEOUT,
    OPT_WORKER,
    OPT_RETRY_PERCENT,
    OPT_RESULT_MAX
};

enum { KIND_MAX = 256, QUEUE_MAX = 64 };

static const struct option options[] = {
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"lease", required_argument, NULL, OPT_LEASE},
    {"kind", required_argument, NULL, OPT_KIND},
    {"drain", no_argument, NULL, OPT_DRAIN},
    {"ack", required_argument, NULL, OPT_ACK},
    {"grace", required_argument, NULL, OPT_GRACE},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"worker", required_argument, NULL, OPT_WORKER},
    {"retry-percent", required_argument, NULL, OPT_RETRY_PERCENT},
    {"result-max", required_argument, NULL, OPT_RESULT_MAX},
    {NULL, 0, NULL, 0},
};

struct work {
    struct cli *cli;
    struct jobq_worker_options worker;
    const char *queues[QUEUE_MAX], *kinds[KIND_MAX];
    size_t kind_count;
    struct run run;
};

/* A signal handler has no other way to reach them. */
static struct {
    struct jobq_worker *_Atomic worker;
    atomic_int count;
} signalled;

static void on_signal(int signal)
{
    struct jobq_worker *worker = atomic_load(&signalled.worker);

    (void)signal;
    atomic_fetch_add(&signalled.count, 1);
    if (worker) {
        jobq_worker_stop(worker);
    }
}

int work_signals(void)
{
    return atomic_load(&signalled.count);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;

    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
        sigaction(SIGHUP, &action, NULL); /* but nohup stays nohup */
    }
}

static int take_option(struct work *work, int option)
{
    struct cli *cli = work->cli;
    struct jobq_worker_options *worker = &work->worker;

    switch (option) {
    case OPT_JOBS:
        return args_size(cli, "jobs", optarg, 1, 1024, &worker->threads);
    case OPT_LEASE:
        return args_duration(cli, "lease", optarg, 100, 86400000, &worker->lease_ms);
    case OPT_KIND:
        if (work->kind_count == KIND_MAX) {
            return leave_usage(cli, "kind", "more than %d are given", KIND_MAX);
        }
        work->kinds[work->kind_count++] = optarg;
        return LEAVE_OK;
    case OPT_DRAIN:
        worker->flags |= JOBQ_WORKER_DRAIN;
        return LEAVE_OK;
    case OPT_ACK:
        worker->flags |= JOBQ_WORKER_ACK_EARLY;
        return strcmp(optarg, "early") == 0 ? LEAVE_OK : leave_usage(cli, "ack", "'%s' is not early", optarg);
    case OPT_GRACE:
        return args_duration(cli, "grace", optarg, 1, 86400000, &worker->grace_ms);
    case OPT_TIMEOUT:
        return args_duration(cli, "timeout", optarg, 1, MS_MAX, &work->run.timeout_ms);
    case OPT_WORKER:
        worker->name = optarg;
        return LEAVE_OK;
    case OPT_RETRY_PERCENT:
        return args_int(cli, "retry-percent", optarg, 1, 100, &worker->retry_percent);
    default:
        return args_size(cli, "result-max", optarg, 1, BYTES_MAX, &cli->options.result_max_bytes);
    }
}

/* The command stands behind "--", which getopt would mix with the queues. */
static char **split(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            *argc = i;
            return argv + i + 1;
        }
    }
    return NULL;
}

static int read_arguments(struct work *work, int argc, char **argv)
{
    char **command = split(&argc, argv);
    struct args args;
    int option, code;

    args_begin(&args, work->cli, argc, argv, ":s:hj:", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = take_option(work, option)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 1, QUEUE_MAX)) != LEAVE_OK) {
        return code;
    }
    if (!command || !command[0]) {
        return leave_usage(work->cli, "command",
                           "missing; it stands behind --, as in jobq work QUEUE -- ./script");
    }
    while (optind < argc) {
        work->queues[work->worker.queue_count++] = argv[optind++];
    }
    work->worker.queues = work->queues;
    if (program_find(&work->run.program, command) != 0) {
        return leave_usage(work->cli, "command", "cannot run '%s': %s", command[0], strerror(errno));
    }
    return LEAVE_OK;
}

static int register_kinds(struct work *work, struct jobq_worker *worker)
{
    int status = work->kind_count ? JOBQ_OK : jobq_worker_handle(worker, NULL, run_job, &work->run);

    for (size_t i = 0; i < work->kind_count && status >= 0; i++) {
        status = jobq_worker_handle(worker, work->kinds[i], run_job, &work->run);
    }
    return status;
}

/* What it has done, for --json only: a worker that ends has nothing to say to people. */
static void answer(struct cli *cli, struct jobq_worker *worker)
{
    struct jobq_worker_counts counts = {.size = sizeof counts};
    struct json json = json_begin(cli);

    jobq_worker_counts(worker, &counts);
    json_object(&json, NULL);
    json_uint(&json, "claimed", counts.claimed);
    json_uint(&json, "completed", counts.completed);
    json_uint(&json, "failed", counts.failed);
    json_uint(&json, "released", counts.released);
    json_uint(&json, "lost", counts.lost);
    json_uint(&json, "swept", counts.swept);
    json_end(&json);
}

static void on_notice(int notice, const char *text, void *user)
{
    (void)notice;
    (void)user;
    fprintf(stderr, "jobq work: %s\n", text);
}

static int run_worker(struct work *work)
{
    struct jobq_worker *worker = NULL;
    int status = jobq_worker_create(&worker, work->cli->q, &work->worker);

    if (status >= 0) {
        status = register_kinds(work, worker);
    }
    if (status >= 0) {
        status = jobq_worker_notify(worker, on_notice, NULL);
    }
    if (status >= 0) {
        atomic_store(&signalled.worker, worker);
        if (work_signals() > 0) {
            jobq_worker_stop(worker); /* it came before the worker was there to be told */
        }
        status = jobq_worker_run(worker);
        atomic_store(&signalled.worker, NULL);
        if (status >= 0 && work->cli->json) {
            answer(work->cli, worker);
        }
    }
    status = leave_status(work->cli, status, NULL);
    jobq_worker_destroy(worker);
    return status;
}

int run_work(struct cli *cli, int argc, char **argv)
{
    /* A program may run for long: what does not run here is left to others. */
    struct work work = {.cli = cli, .worker = {.size = sizeof work.worker, .flags = JOBQ_WORKER_NO_BATCH}};
    int code = read_arguments(&work, argc, argv);

    if (code == LEAVE_OK) {
        work.run.result_max_bytes = cli->options.result_max_bytes ? cli->options.result_max_bytes : 1 << 20;
        work.run.grace_ms = work.worker.grace_ms ? work.worker.grace_ms : 10000;
        catch_signals();
        nest_begin(&work.run.nest); /* before there are threads and open stores to inherit */
        code = store_open(cli);
        if (code == LEAVE_OK) {
            code = run_worker(&work);
        }
        nest_end(&work.run.nest);
    }
    program_free(&work.run.program);
    return code;
}
