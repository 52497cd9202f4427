/* SPDX-License-Identifier: MIT */
/* `jobq drain`: let a queue run empty while it takes no new jobs. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "interrupt.h"
#include "json.h"
#include "stats.h"
#include "table.h"

enum { OPT_TIMEOUT = 1, OPT_KEEP_CLOSED, LOOK_MS = 200 };

struct drain {
    struct cli *cli;
    const char *queue;
    int64_t timeout_ms; /* negative: no limit */
    int64_t depth;      /* what it was before, for the end */
    int keep_closed, said_paused, said_nobody;
    uint64_t present[JOBQ_STATE_COUNT];
};

static int64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the door ---- */

static int set_depth(struct drain *drain, int64_t depth)
{
    struct jobq_limit limit = {.size = sizeof limit,
                               .of = JOBQ_LIMIT_QUEUE,
                               .name = drain->queue,
                               .set = JOBQ_LIMIT_DEPTH,
                               .depth = depth};

    return jobq_limit_set(drain->cli->q, &limit);
}

/* Remember how many may wait, then let none in. Returns a code of the library. */
static int close_queue(struct drain *drain)
{
    struct jobq_limits *limits = NULL;
    int status = jobq_limits(drain->cli->q, JOBQ_LIMIT_QUEUE, drain->queue, NULL, &limits);

    if (status < 0) {
        return status;
    }
    drain->depth = JOBQ_LIMIT_UNSET;
    if (limits->count && limits->limits[0].set & JOBQ_LIMIT_DEPTH) {
        drain->depth = limits->limits[0].depth;
    }
    jobq_limits_free(limits);
    return set_depth(drain, 0);
}

/* A queue that was closed before, by another drain perhaps, is not ours to open. */
static int open_queue(struct drain *drain)
{
    if (drain->depth == 0 || drain->keep_closed) {
        warn_text(drain->cli, "queue %s takes no new jobs; jobq limit %s --depth unset opens it",
                  drain->queue, drain->queue);
        return JOBQ_OK;
    }
    return set_depth(drain, drain->depth);
}

/* ---- looking ---- */

static int somebody_works(const struct jobq_stats *stats, const char *queue)
{
    size_t n = strlen(queue);

    for (size_t i = 0; i < stats->worker_count; i++) {
        const char *at = stats_alive(stats, &stats->workers[i]) ? stats->workers[i].queues : NULL;
        for (; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
            if (strncmp(at, queue, n) == 0 && (at[n] == ',' || at[n] == 0)) {
                return 1;
            }
        }
    }
    return 0;
}

/* What would make it wait for ever, said once. */
static void say_obstacles(struct drain *drain, const struct jobq_stats *stats)
{
    if (drain->present[JOBQ_READY] == 0) {
        return;
    }
    if (stats->queues[0].paused && !drain->said_paused++) {
        warn_text(drain->cli, "queue %s is paused; jobq resume %s lets its jobs run", drain->queue,
                  drain->queue);
    }
    if (!somebody_works(stats, drain->queue) && !drain->said_nobody++) {
        warn_text(drain->cli, "no worker that is alive has the queue %s", drain->queue);
    }
}

/* Returns a code of the library; JOBQ_NOT_FOUND for a queue that nothing was ever put into. */
static int look(struct drain *drain)
{
    struct jobq_stats *stats = NULL;
    int status = jobq_stats(drain->cli->q, drain->queue, &stats);

    if (status < 0) {
        return status;
    }
    if (stats->queue_count == 0) {
        status = JOBQ_NOT_FOUND;
    } else {
        memcpy(drain->present, stats->queues[0].present, sizeof drain->present);
        say_obstacles(drain, stats);
    }
    jobq_stats_free(stats);
    return status;
}

static int is_empty(const struct drain *drain)
{
    return drain->present[JOBQ_READY] == 0 && drain->present[JOBQ_RUNNING] == 0;
}

/* Until nothing is ready or running, the time is over, or somebody interrupts. */
static int wait_until_empty(struct drain *drain)
{
    int64_t end = drain->timeout_ms < 0 ? INT64_MAX : monotonic_ms() + drain->timeout_ms;
    int status;

    while ((status = look(drain)) >= 0 && !is_empty(drain)) {
        int64_t left = end - monotonic_ms();
        if (left <= 0 || interrupt_rest(left < LOOK_MS ? left : LOOK_MS)) {
            break;
        }
    }
    return status;
}

static void answer(const struct drain *drain)
{
    static const char *const heads[] = {"queue", "drained", "ready", "running", "scheduled", "blocked", NULL};
    static const int states[] = {JOBQ_READY, JOBQ_RUNNING, JOBQ_SCHEDULED, JOBQ_BLOCKED};
    struct cli *cli = drain->cli;
    struct table table;

    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_text(&json, "queue", drain->queue);
        json_bool(&json, "drained", is_empty(drain));
        for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
            json_uint(&json, jobq_state_name(states[i]), drain->present[states[i]]);
        }
        json_bool(&json, "closed", drain->keep_closed || drain->depth == 0);
        json_end(&json);
        return;
    }
    table_begin(&table, cli, heads);
    table_text(&table, drain->queue);
    table_text(&table, is_empty(drain) ? "drained" : "not drained");
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        table_int(&table, (int64_t)drain->present[states[i]]);
    }
    table_end(&table);
}

/* ---- the command ---- */

static int run_until_empty(struct drain *drain)
{
    struct cli *cli = drain->cli;
    int status = look(drain), opened;

    if (status == JOBQ_NOT_FOUND) {
        return leave_error(cli, status, "queue", "there is no queue '%s'", drain->queue);
    }
    if (status < 0 || (status = close_queue(drain)) < 0) {
        return leave_status(cli, status, NULL);
    }
    status = wait_until_empty(drain);
    if (status < 0) {
        leave_status(cli, status, NULL);
        open_queue(drain);
        return leave_code(status);
    }
    if ((opened = open_queue(drain)) < 0) {
        return leave_status(cli, opened, NULL);
    }
    answer(drain);
    return is_empty(drain) ? LEAVE_OK : LEAVE_TIME;
}

int run_drain(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"timeout", required_argument, NULL, OPT_TIMEOUT},
                                            {"keep-closed", no_argument, NULL, OPT_KEEP_CLOSED},
                                            {NULL, 0, NULL, 0}};
    struct drain drain = {.cli = cli, .timeout_ms = -1};
    struct args args;
    int option, code;

    args_begin(&args, cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if (option == OPT_KEEP_CLOSED) {
            drain.keep_closed = 1;
        } else if ((code = args_duration(cli, "timeout", optarg, 0, MS_MAX, &drain.timeout_ms)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 1, 1)) != LEAVE_OK) {
        return code;
    }
    drain.queue = argv[optind];
    interrupt_hold();
    return (code = store_open(cli)) == LEAVE_OK ? run_until_empty(&drain) : code;
}
