/* SPDX-License-Identifier: MIT */
/* Figures of libjobq through its public interface, default durability and retention.
 * usage: jobq-bench URI SECONDS JOBS FIGURE...     JOBS: how many are put before something is drained
 *
 *   insert-N keyed-N   enqueue N a call, from one thread; with idempotency keys
 *   threads-N          one at a time from N threads through one handle
 *   drain-N            worker, no-op handler, one thread that holds up to N jobs; drain-1: one at a time
 *   processes-N        the same from N processes at once, holding 500
 *   claim-N            jobq_claim of N, and an ack each
 *   together           one process fills and another drains, against each of them alone
 *   tenants            drain with 1,000 groups and limits of how many run, against the same without
 *   backlog-N          put and drain before N waiting jobs, against the same before 1,000
 *   finished-N         the same beside N finished jobs
 *   pickup             from before the enqueue to the handler in another process, on an idle queue
 *   worker             a worker process of 8 threads: its memory, and what it takes of a core while idle
 *   fill               JOBS are put and left
 *   steps-N            N jobs put, claimed and acked one by one, to be counted by a profiler; put-N, take-N: parts of it
 *   once               every job ran exactly once, in two processes
 *   settings           what the store says of itself
 *
 * The store is used as it is: give a fresh one. */
#include "figures.h"

#include <jobq/memory.h>
#ifdef HAVE_REDIS
#include <jobq/redis.h>
#endif
#ifdef HAVE_SQLITE
#include <jobq/sqlite.h>
#endif
#ifdef HAVE_POSTGRES
#include <jobq/postgres.h>
#endif

void must(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, jobq_status_name(rc), jobq_last_error()->text);
    exit(1);
}

static const struct jobq_backend *backend_of(const char *uri)
{
#ifdef HAVE_SQLITE
    if (strncmp(uri, "sqlite:", 7) == 0)
        return jobq_sqlite();
#endif
#ifdef HAVE_POSTGRES
    if (strncmp(uri, "postgres", 8) == 0)
        return jobq_postgres();
#endif
#ifdef HAVE_REDIS
    if (strncmp(uri, "redis", 5) == 0)
        return jobq_redis();
#endif
    (void)uri;
    return jobq_memory();
}

struct jobq *bench_open(const struct bench *b, const char *name_space, const struct jobq_keep *keep)
{
    const struct jobq_options options = {.size = sizeof options, .keep = keep};
    char uri[1024];
    struct jobq *q;

    if (name_space)
        snprintf(uri, sizeof uri, "%s%cnamespace=%s", b->uri, strchr(b->uri, '?') ? '&' : '?', name_space);
    else
        snprintf(uri, sizeof uri, "%s", b->uri);
    must(jobq_open(&q, backend_of(uri), uri, &options), "open");
    return q;
}

/* A fixed number of calls, so that the difference of two runs is what some calls cost: stage 1 puts, 2 claims
 * as well, 3 acks as well. */
static void steps(const struct bench *b, int count, int stage)
{
    const char *queue = QUEUE;
    const struct jobq_claim_options options = {
        .size = sizeof options, .queues = &queue, .queue_count = 1, .limit = 1};
    struct jobq *q = bench_open(b, NULL, NULL);
    struct maker *m = maker_new(1);

    for (int i = 0; i < count; i++)
        maker_put(m, q, 0);
    for (int i = 0; stage > 1 && i < count; i++) {
        struct jobq_jobs *jobs;
        must(jobq_claim(q, &options, &jobs), "claim");
        if (stage > 2)
            must(jobq_ack(q, &jobs->jobs[0].id, &jobs->jobs[0].token, NULL, 0), "ack");
        jobq_jobs_free(jobs);
    }
    maker_free(m);
    jobq_close(q);
}

static void print_inserts(const struct bench *b, const char *figure, int n, int how)
{
    struct jobq *q = bench_open(b, NULL, NULL);

    bench_print(figure, measure_insert(q, (size_t)n, how, b->seconds), "jobs/s");
    jobq_close(q);
}

static void print_threads(const struct bench *b, const char *figure, int n)
{
    struct jobq *q = bench_open(b, NULL, NULL);

    bench_print(figure, measure_threads(q, n, b->seconds), "jobs/s");
    jobq_close(q);
}

static void put_and_leave(const struct bench *b)
{
    struct jobq *q = bench_open(b, NULL, NULL);

    fill(q, b->jobs, 0);
    jobq_close(q);
}

static int numbered(const struct bench *b, const char *figure)
{
    int n = 0;

    if (sscanf(figure, "insert-%d", &n) == 1)
        print_inserts(b, figure, n, 0);
    else if (sscanf(figure, "keyed-%d", &n) == 1)
        print_inserts(b, figure, n, PUT_KEYED);
    else if (sscanf(figure, "threads-%d", &n) == 1)
        print_threads(b, figure, n);
    else if (sscanf(figure, "drain-%d", &n) == 1)
        bench_print(figure, measure_drain(b, n == 1 ? 0 : (size_t)n), "jobs/s");
    else if (sscanf(figure, "processes-%d", &n) == 1)
        bench_print(figure, measure_processes(b, n), "jobs/s");
    else if (sscanf(figure, "claim-%d", &n) == 1)
        bench_print(figure, measure_claim(b, (size_t)n), "jobs/s");
    else if (sscanf(figure, "backlog-%d", &n) == 1)
        print_backlog(b, (uint64_t)n);
    else if (sscanf(figure, "finished-%d", &n) == 1)
        print_finished(b, (uint64_t)n);
    else if (sscanf(figure, "put-%d", &n) == 1)
        steps(b, n, 1);
    else if (sscanf(figure, "take-%d", &n) == 1)
        steps(b, n, 2);
    else if (sscanf(figure, "steps-%d", &n) == 1)
        steps(b, n, 3);
    else
        return 2;
    return 0;
}

static int measure(const struct bench *b, const char *figure)
{
    static const struct {
        const char *name;
        void (*print)(const struct bench *b);
    } named[] = {
        {"together", print_together}, {"tenants", print_tenants}, {"pickup", print_pickup},
        {"worker", print_worker},     {"fill", put_and_leave},    {"once", check_once},
        {"settings", print_settings},
    };

    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (strcmp(figure, named[i].name) == 0) {
            named[i].print(b);
            return 0;
        }
    return numbered(b, figure);
}

int main(int argc, char **argv)
{
    int rc = argc < 5 ? 2 : 0;

    for (int i = 4; i < argc && rc == 0; i++) {
        const struct bench b = {argv[1], atof(argv[2]), (uint64_t)atoll(argv[3])};
        rc = measure(&b, argv[i]);
    }
    return rc;
}
