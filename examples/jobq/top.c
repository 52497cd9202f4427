/* SPDX-License-Identifier: MIT */
/* `jobq top`: the statistics again and again, and who runs what. A screen on a terminal, lines elsewhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "args.h"
#include "instant.h"
#include "interrupt.h"
#include "stats.h"
#include "table.h"

enum { OPT_EVERY = 1, RUNNING_MOST = 100, LINES_DEFAULT = 24 };

struct top {
    struct cli *cli;
    int64_t every_ms;
    size_t looks; /* 0: until interrupted */
    int screen;
    struct jobq_stats *stats;
    struct jobq_jobs *running;
};

/* ---- orders ---- */

static int busiest_first(const void *left, const void *right)
{
    const struct jobq_queue_stats *a = *(const struct jobq_queue_stats *const *)left;
    const struct jobq_queue_stats *b = *(const struct jobq_queue_stats *const *)right;

    if (a->present[JOBQ_RUNNING] != b->present[JOBQ_RUNNING]) {
        return a->present[JOBQ_RUNNING] < b->present[JOBQ_RUNNING] ? 1 : -1;
    }
    if (a->present[JOBQ_READY] != b->present[JOBQ_READY]) {
        return a->present[JOBQ_READY] < b->present[JOBQ_READY] ? 1 : -1;
    }
    return strcmp(a->queue, b->queue);
}

static int longest_first(const void *left, const void *right)
{
    const struct jobq_job *a = *(const struct jobq_job *const *)left;
    const struct jobq_job *b = *(const struct jobq_job *const *)right;

    return (a->started_at_ms > b->started_at_ms) - (a->started_at_ms < b->started_at_ms);
}

/* Pointers to the items of an array, to be freed; NULL without memory or items. */
static const void **pointers(const void *items, size_t count, size_t size,
                             int (*compare)(const void *, const void *))
{
    const void **all = count ? malloc(count * sizeof *all) : NULL;

    for (size_t i = 0; all && i < count; i++) {
        all[i] = (const char *)items + i * size;
    }
    if (all) {
        qsort(all, count, sizeof *all, compare);
    }
    return all;
}

/* ---- JSON: one object a line ---- */

static void put_running(struct json *json, const struct jobq_job *job)
{
    json_object(json, NULL);
    json_id(json, "id", &job->id);
    json_text(json, "queue", job->queue);
    json_text(json, "kind", job->kind);
    json_name(json, "group", job->group);
    json_int(json, "attempt", job->attempt);
    json_instant(json, "started_at", job->started_at_ms);
    json_instant(json, "lease_until", job->lease_until_ms);
    json_bool(json, "stuck", job->stuck);
    json_name(json, "worker", job->worker);
    json_bytes(json, "progress", &job->progress);
    json_end(json);
}

static void print_json(struct top *top)
{
    struct json json = json_begin(top->cli);

    json_object(&json, NULL);
    stats_members(&json, top->stats);
    json_array(&json, "running");
    for (size_t i = 0; i < top->running->count; i++) {
        put_running(&json, &top->running->jobs[i]);
    }
    json_end(&json);
    json_end(&json);
}

/* ---- tables ---- */

static void cell_rate(struct table *table, uint64_t count, int64_t window_ms)
{
    char text[32] = "";

    if (window_ms > 0) {
        snprintf(text, sizeof text, "%.1f", (double)count * 1000 / (double)window_ms);
    }
    table_text(table, text);
}

static void queue_cells(struct table *table, const struct jobq_queue_stats *q)
{
    static const int states[] = {JOBQ_READY, JOBQ_SCHEDULED, JOBQ_BLOCKED, JOBQ_RUNNING};

    table_text(table, q->queue);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        table_int(table, (int64_t)q->present[states[i]]);
    }
    table_int(table, (int64_t)q->stuck);
    table_int(table, (int64_t)q->present[JOBQ_DEAD]);
    cell_rate(table, q->last_minute.completed, q->last_minute.window_ms);
    cell_rate(table, q->last_minute.failed, q->last_minute.window_ms);
    table_int(table, jobq_durations_quantile(&q->waited, 950));
    table_int(table, jobq_durations_quantile(&q->ran, 950));
    table_text(table, q->paused ? "paused" : "");
}

#define QUEUE_HEADS                                                                                          \
    "queue", "ready", "scheduled", "blocked", "running", "stuck", "dead", "done/s", "failed/s",              \
        "wait_p95_ms", "run_p95_ms", "paused"

static void print_queues(struct top *top, const void **queues, size_t most)
{
    static const char *const heads[] = {QUEUE_HEADS, NULL};
    size_t count = top->stats->queue_count;
    struct table table;

    table_begin(&table, top->cli, heads);
    for (size_t i = 0; i < count && i < most; i++) {
        queue_cells(&table, queues[i]);
    }
    table_end(&table);
    if (count > most) {
        printf("and %zu more\n", count - most);
    }
}

/* Piped: a line for each queue, with the time in front. */
static void print_lines(struct top *top, const void **queues)
{
    static const char *const heads[] = {"at", QUEUE_HEADS, NULL};
    struct table table;

    table_begin(&table, top->cli, heads);
    for (size_t i = 0; i < top->stats->queue_count; i++) {
        table_instant(&table, top->stats->now_ms);
        queue_cells(&table, queues[i]);
    }
    table_end(&table);
}

static void cell_seconds(struct table *table, int64_t ms)
{
    char text[32];

    snprintf(text, sizeof text, "%.1f s", (double)(ms > 0 ? ms : 0) / 1000);
    table_text(table, text);
}

static void print_workers(struct top *top, size_t most)
{
    static const char *const heads[] = {"worker", "busy", "seen", "queues", NULL};
    const struct jobq_stats *stats = top->stats;
    struct table table;

    table_begin(&table, top->cli, heads);
    for (size_t i = 0; i < stats->worker_count && i < most; i++) {
        const struct jobq_worker_stats *w = &stats->workers[i];
        char busy[64];
        snprintf(busy, sizeof busy, "%d of %d%s", w->running, w->capacity,
                 !stats_alive(stats, w) ? ", silent"
                 : w->stop_asked        ? ", stopping"
                                        : "");
        table_text(&table, w->name);
        table_text(&table, busy);
        cell_seconds(&table, stats->now_ms - w->seen_at_ms);
        table_text(&table, w->queues);
    }
    table_end(&table);
    if (stats->worker_count > most) {
        printf("and %zu more\n", stats->worker_count - most);
    }
}

static void print_running(struct top *top, size_t most)
{
    static const char *const heads[] = {"running", "queue", "attempt", "for", "worker", "progress", NULL};
    const struct jobq_jobs *jobs = top->running;
    const void **order = pointers(jobs->jobs, jobs->count, sizeof *jobs->jobs, longest_first);
    struct table table;

    table_begin(&table, top->cli, heads);
    for (size_t i = 0; order && i < jobs->count && i < most; i++) {
        const struct jobq_job *job = order[i];
        table_id(&table, &job->id);
        table_text(&table, job->queue);
        table_int(&table, job->attempt);
        cell_seconds(&table, jobs->now_ms - job->started_at_ms);
        table_text(&table, job->worker);
        table_bytes(&table, &job->progress);
    }
    table_end(&table);
    free(order);
}

/* ---- the screen ---- */

static size_t screen_lines(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : LINES_DEFAULT;
}

static void print_head(const struct jobq_stats *stats)
{
    char at[INSTANT_TEXT];

    instant_format(stats->now_ms, at);
    printf("%s  %s, ", at, stats->engine);
    table_plain(stdout, stats->address);
    printf(", namespace %s\n\n", stats->name_space);
}

/* Queues get up to half of what the screen has, workers a quarter, running jobs the rest. */
static void print_screen(struct top *top, const void **queues)
{
    const char *term = getenv("TERM");
    int plain = !term || strcmp(term, "dumb") == 0;
    size_t lines = screen_lines(), room = lines > 15 ? lines - 11 : 4;
    size_t most_queues = room / 2, most_workers = room / 4 ? room / 4 : 1;
    size_t used = (top->stats->queue_count < most_queues ? top->stats->queue_count : most_queues) +
                  (top->stats->worker_count < most_workers ? top->stats->worker_count : most_workers);

    /* From the top, with long lines cut at the edge instead of going on in the next one. */
    fputs(plain ? "" : "\033[H\033[J\033[?7l", stdout);
    print_head(top->stats);
    print_queues(top, queues, most_queues);
    putchar('\n');
    print_workers(top, most_workers);
    putchar('\n');
    print_running(top, room - used);
    fputs(plain ? "\n" : "\033[?7h", stdout);
}

/* ---- the command ---- */

static int look(struct top *top)
{
    struct jobq_filter running = {
        .size = sizeof running, .states = 1u << JOBQ_RUNNING, .limit = RUNNING_MOST, .bytes = 1 << 16};
    int status = jobq_stats(top->cli->q, NULL, &top->stats);

    return status < 0 ? status : jobq_list(top->cli->q, &running, &top->running);
}

static void print_look(struct top *top)
{
    const void **queues =
        pointers(top->stats->queues, top->stats->queue_count, sizeof *top->stats->queues, busiest_first);

    if (top->cli->json) {
        print_json(top);
    } else if (queues || top->stats->queue_count == 0) {
        (top->screen ? print_screen : print_lines)(top, queues);
    }
    free(queues);
    fflush(stdout);
}

static int run_looks(struct top *top)
{
    for (size_t n = 1;; n++) {
        int status = look(top), code;

        if (status >= 0) {
            print_look(top);
        }
        code = leave_status(top->cli, status, NULL);
        jobq_stats_free(top->stats);
        jobq_jobs_free(top->running);
        top->stats = NULL;
        top->running = NULL;
        if (code != LEAVE_OK || n == top->looks || ferror(stdout) || interrupt_rest(top->every_ms)) {
            return code;
        }
    }
}

int run_top(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"every", required_argument, NULL, OPT_EVERY},
                                            {"limit", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct top top = {.cli = cli, .every_ms = 1000, .screen = isatty(STDOUT_FILENO)};
    struct args args;
    int option, code;

    args_begin(&args, cli, argc, argv, ":s:hn:", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        code = option == OPT_EVERY ? args_duration(cli, "every", optarg, 100, 3600000, &top.every_ms)
                                   : args_size(cli, "limit", optarg, 1, (size_t)1 << 40, &top.looks);
        if (code != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 0, 0)) != LEAVE_OK) {
        return code;
    }
    interrupt_hold();
    return (code = store_open(cli)) == LEAVE_OK ? run_looks(&top) : code;
}
