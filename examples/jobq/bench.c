/* SPDX-License-Identifier: MIT */
/* `jobq bench`: what this store does on this machine, measured in a queue that is emptied before and after.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "json.h"
#include "table.h"

#define QUEUE "jobq-bench"

enum { OPT_FOR = 1, PAYLOAD = 200, BATCH_MAX = 1000, PICKUPS = 100, PAUSE_US = 5000 };

struct bench {
    struct cli *cli;
    int64_t for_ms;
    size_t threads, batch;
    /* the other process, which picks up */
    pid_t child;
    int started; /* where it writes the instant of each start */
    /* the answer */
    struct json json;
    struct table table;
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(struct bench *b, const char *figure, double value, const char *unit, uint64_t count)
{
    char text[32];

    if (b->cli->json) {
        json_object(&b->json, NULL);
        json_text(&b->json, "figure", figure);
        json_ratio(&b->json, "value", value);
        json_text(&b->json, "unit", unit);
        json_uint(&b->json, "count", count);
        json_end(&b->json);
        return;
    }
    snprintf(text, sizeof text, "%.*f", value < 100 ? 2 : 0, value);
    table_text(&b->table, figure);
    table_text(&b->table, text);
    table_text(&b->table, unit);
    table_int(&b->table, (int64_t)count);
}

/* ---- enqueue ---- */

static int put(struct jobq *q, size_t count)
{
    static const char payload[PAYLOAD] = {0};
    static struct jobq_spec specs[BATCH_MAX];

    for (size_t i = 0; i < count; i++) {
        specs[i] =
            (struct jobq_spec){.size = sizeof *specs, .queue = QUEUE, .payload = {payload, sizeof payload}};
    }
    return count == 1 ? jobq_enqueue(q, specs, NULL) : jobq_enqueue_many(q, specs, count, NULL);
}

static int measure_enqueue(struct bench *b, size_t batch)
{
    double begin = now_s(), took;
    uint64_t count = 0;
    char name[40];

    do {
        int status = put(b->cli->q, batch);
        if (status < 0) {
            return status;
        }
        count += batch;
        took = now_s() - begin;
    } while (took * 1000 < (double)b->for_ms);
    snprintf(name, sizeof name, batch == 1 ? "enqueue" : "enqueue, %zu a call", batch);
    report(b, name, (double)count / took, "jobs/s", count);
    return JOBQ_OK;
}

/* ---- work ---- */

struct work {
    struct jobq_worker *worker;
    double begin, until;
    _Atomic uint64_t count;
};

static int work_one(struct jobq_ctx *ctx, void *user)
{
    struct work *work = user;

    (void)ctx;
    atomic_fetch_add(&work->count, 1);
    if (now_s() > work->until) {
        jobq_worker_stop(work->worker);
    }
    return JOBQ_DONE;
}

static int make_worker(struct jobq *q, size_t threads, uint32_t flags, jobq_handler handler, void *user,
                       struct jobq_worker **out)
{
    static const char *const queues[] = {QUEUE};
    struct jobq_worker_options options = {.size = sizeof options,
                                          .queues = queues,
                                          .queue_count = 1,
                                          .threads = threads,
                                          .batch = 500,
                                          .flags = flags};
    int status = jobq_worker_create(out, q, &options);

    return status < 0 ? status : jobq_worker_handle(*out, NULL, handler, user);
}

/* What the enqueues have left, until it is gone or the time is over. */
static int measure_work(struct bench *b)
{
    struct work work = {.begin = now_s()};
    int status = make_worker(b->cli->q, b->threads, JOBQ_WORKER_DRAIN, work_one, &work, &work.worker);
    double took;

    work.until = work.begin + (double)b->for_ms / 1000;
    if (status >= 0) {
        status = jobq_worker_run(work.worker);
    }
    took = now_s() - work.begin;
    jobq_worker_destroy(work.worker);
    if (status >= 0) {
        report(b, "work", (double)atomic_load(&work.count) / took, "jobs/s", atomic_load(&work.count));
    }
    return status;
}

/* ---- pickup by another process ---- */

static int tell_start(struct jobq_ctx *ctx, void *user)
{
    double now = now_s();

    (void)ctx;
    return write(*(int *)user, &now, sizeof now) == sizeof now ? JOBQ_DONE : JOBQ_RETRY;
}

/* What the child runs; a signal handler has no other way to reach it. */
static _Atomic(struct jobq_worker *) child_worker;

static void on_term(int signal)
{
    struct jobq_worker *worker = atomic_load(&child_worker);

    (void)signal;
    if (worker) {
        jobq_worker_stop(worker);
    } else {
        _exit(0);
    }
}

static void be_child(struct bench *b, int go, int started)
{
    struct jobq_worker *worker = NULL;
    char byte;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (read(go, &byte, 1) != 1) {
        _exit(0);
    }
    signal(SIGTERM, on_term);
    if (store_open(b->cli) == LEAVE_OK && make_worker(b->cli->q, 1, 0, tell_start, &started, &worker) >= 0) {
        atomic_store(&child_worker, worker);
        jobq_worker_run(worker);
    }
    _exit(0);
}

/* Before this process has threads or an open store. *go is where a byte lets the child begin. */
static int start_child(struct bench *b, int *go)
{
    int start[2], answer[2];

    if (pipe(start) != 0 || pipe(answer) != 0 || (b->child = fork()) < 0) {
        return leave_error(b->cli, JOBQ_FAILED, "", "no second process to measure with");
    }
    if (b->child == 0) {
        close(start[1]);
        close(answer[0]);
        be_child(b, start[0], answer[1]);
    }
    close(start[0]);
    close(answer[1]);
    *go = start[1];
    b->started = answer[0];
    return LEAVE_OK;
}

/* It hands in its last outcome and leaves no record of itself. */
static void end_child(struct bench *b)
{
    kill(b->child, SIGTERM);
    waitpid(b->child, NULL, 0);
    close(b->started);
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

static int measure_pickup(struct bench *b, int go)
{
    double took[PICKUPS], started;

    if (write(go, "g", 1) != 1) {
        return JOBQ_FAILED;
    }
    for (int i = -1; i < PICKUPS; i++) { /* the first one waits for the worker to come up */
        double begin;
        int status;
        usleep(PAUSE_US);
        begin = now_s();
        if ((status = put(b->cli->q, 1)) < 0) {
            return status;
        }
        if (read(b->started, &started, sizeof started) != sizeof started) {
            return JOBQ_FAILED;
        }
        if (i >= 0) {
            took[i] = (started - begin) * 1000;
        }
    }
    qsort(took, PICKUPS, sizeof *took, ascending);
    report(b, "pickup, median", took[PICKUPS / 2], "ms", PICKUPS);
    report(b, "pickup, 99 %", took[PICKUPS * 99 / 100], "ms", PICKUPS);
    return JOBQ_OK;
}

/* ---- the command ---- */

static int empty(struct bench *b)
{
    struct jobq_filter all = {.size = sizeof all, .queue = QUEUE};

    return jobq_purge(b->cli->q, &all, 0, NULL);
}

static int measure(struct bench *b, int go)
{
    int status = empty(b);

    if (status >= 0) {
        status = measure_enqueue(b, 1);
    }
    if (status >= 0) {
        status = measure_enqueue(b, b->batch);
    }
    if (status >= 0) {
        status = measure_work(b);
    }
    if (status >= 0) {
        status = empty(b);
    }
    return status < 0 ? status : measure_pickup(b, go);
}

static int run_measures(struct bench *b, int go)
{
    static const char *const heads[] = {"figure", "value", "unit", "count", NULL};
    int code = store_open(b->cli), status;

    if (code != LEAVE_OK) {
        return code;
    }
    if (b->cli->json) {
        b->json = json_begin(b->cli);
        json_array(&b->json, NULL);
    } else {
        table_begin(&b->table, b->cli, heads);
    }
    status = measure(b, go);
    code = leave_status(b->cli, status, NULL);
    if (b->cli->json) {
        json_end(&b->json);
    } else {
        table_end(&b->table);
    }
    return code;
}

int run_bench(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"for", required_argument, NULL, OPT_FOR},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"batch", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct bench b = {.cli = cli, .for_ms = 1000, .threads = 1, .batch = 100};
    struct args args;
    int option, code, go = -1;

    args_begin(&args, cli, argc, argv, ":s:hj:n:", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        code = option == OPT_FOR ? args_duration(cli, "for", optarg, 1, 600000, &b.for_ms)
               : option == 'j'   ? args_size(cli, "jobs", optarg, 1, 1024, &b.threads)
                                 : args_size(cli, "batch", optarg, 2, BATCH_MAX, &b.batch);
        if (code != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 0, 0)) != LEAVE_OK || (code = start_child(&b, &go)) != LEAVE_OK) {
        return code;
    }
    code = run_measures(&b, go);
    close(go);
    end_child(&b);
    if (cli->q) {
        empty(&b);
    }
    return code;
}
