/* SPDX-License-Identifier: MIT */
/* What a worker process is like: how fast it wakes up, what it takes of memory and of a core; and what the
 * store says. */
#include "figures.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_worker(const struct bench *b, size_t threads, jobq_handler handler, void *user)
{
    const char *queue = QUEUE;
    const struct jobq_worker_options o = {
        .size = sizeof o, .queues = &queue, .queue_count = 1, .threads = threads};
    struct jobq_worker *w;

    must(jobq_worker_create(&w, bench_open(b, NULL, NULL), &o), "worker");
    must(jobq_worker_handle(w, NULL, handler, user), "handler");
    must(jobq_worker_run(w), "run");
    _exit(0);
}

static void end(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* ---- pickup -------------------------------------------------------------------------------------------- */

static int answer_pickup(struct jobq_ctx *ctx, void *user)
{
    const int *pipe_end = user;
    double now = bench_now();

    (void)ctx;
    return write(*pipe_end, &now, sizeof now) == sizeof now ? JOBQ_DONE : JOBQ_RETRY;
}

void print_pickup(const struct bench *b)
{
    double took[BENCH_PICKUPS], started;
    int answer[2];

    if (pipe(answer) != 0)
        exit(1);
    pid_t child = fork();
    if (child == 0)
        run_worker(b, 1, answer_pickup, &answer[1]);
    struct jobq *q = bench_open(b, NULL, NULL);
    struct maker *m = maker_new(1);
    for (int i = -1; i < BENCH_PICKUPS; i++) { /* the first one waits for the worker to come up */
        bench_rest(0.005);
        double start = bench_now();
        maker_put(m, q, 0);
        if (read(answer[0], &started, sizeof started) != sizeof started)
            exit(1);
        if (i >= 0)
            took[i] = (started - start) * 1000;
    }
    end(child);
    maker_free(m);
    jobq_close(q);
    bench_print_pickup(took, BENCH_PICKUPS);
}

/* ---- memory, idling ------------------------------------------------------------------------------------ */

static int do_nothing(struct jobq_ctx *ctx, void *user)
{
    (void)ctx, (void)user;
    return JOBQ_DONE;
}

static double resident_mib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return (double)kib / 1024;
}

static double core_seconds(pid_t pid)
{
    struct timespec t = {0, 0};
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        exit(1);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t waiting(struct jobq *q)
{
    struct jobq_stats *stats;
    uint64_t count = 0;

    must(jobq_stats(q, QUEUE, &stats), "stats");
    if (stats->queue_count)
        count = stats->queues[0].present[JOBQ_READY] + stats->queues[0].present[JOBQ_RUNNING];
    jobq_stats_free(stats);
    return count;
}

/* A worker of 8 threads works some jobs off first, so that all it needs is there. */
void print_worker(const struct bench *b)
{
    const double idle_s = b->seconds < 2 ? 2 : b->seconds;
    pid_t child = fork();

    if (child == 0)
        run_worker(b, 8, do_nothing, NULL);
    struct jobq *q = bench_open(b, NULL, NULL);
    fill(q, 20000, 0);
    while (waiting(q) > 0)
        bench_rest(0.02);
    jobq_close(q);
    bench_rest(0.3);
    double before = core_seconds(child);
    bench_rest(idle_s);
    bench_print("worker-idle", (core_seconds(child) - before) / idle_s * 100, "%");
    bench_print("worker-memory", resident_mib(child), "MiB");
    end(child);
}

/* ---- settings ------------------------------------------------------------------------------------------ */

void print_settings(const struct bench *b)
{
    struct jobq *q = bench_open(b, NULL, NULL);
    struct jobq_keep keep = {.size = sizeof keep};
    struct jobq_stats *stats;

    must(jobq_keep_get(q, QUEUE, &keep), "keep");
    must(jobq_stats(q, NULL, &stats), "stats");
    printf("%s; %s; keeps the newest %lld completed, %lld dead, %lld cancelled; payload %d bytes\n",
           stats->engine, stats->durability, (long long)keep.completed, (long long)keep.dead,
           (long long)keep.cancelled, BENCH_PAYLOAD);
    jobq_stats_free(stats);
    jobq_close(q);
}
