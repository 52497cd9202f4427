/* SPDX-License-Identifier: MIT */
/* Figures of libjobq through its public interface, default durability and retention.
 * usage: jobq-bench URI SECONDS FIGURE...   figures: insert-N (N a call), threads-N (one at a time from N threads through
 * one handle), keyed-N (N a call with idempotency keys), claim-N (jobq_claim of N and an ack each), drain (worker, no-op
 * handler), pickup (another process's worker). The store is used as it is: give a fresh one. */
#include "bench.h"

#include <jobq/jobq.h>
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

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *uri;
static _Atomic uint64_t serial;

static void must(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, jobq_status_name(rc), jobq_last_error()->text);
    exit(1);
}

static struct jobq *open_queue(void)
{
    const struct jobq_backend *backend = jobq_memory();
    struct jobq *q;

#ifdef HAVE_SQLITE
    if (strncmp(uri, "sqlite:", 7) == 0)
        backend = jobq_sqlite();
#endif
#ifdef HAVE_POSTGRES
    if (strncmp(uri, "postgres", 8) == 0)
        backend = jobq_postgres();
#endif
#ifdef HAVE_REDIS
    if (strncmp(uri, "redis", 5) == 0)
        backend = jobq_redis();
#endif
    must(jobq_open(&q, backend, uri, NULL), "open");
    return q;
}

struct maker {
    struct jobq_spec *specs;
    char (*payloads)[BENCH_PAYLOAD + 1];
    char (*keys)[32];
    size_t count;
};

static void maker_begin(struct maker *m, size_t count)
{
    m->count = count;
    m->specs = calloc(count, sizeof *m->specs);
    m->payloads = calloc(count, sizeof *m->payloads);
    m->keys = calloc(count, sizeof *m->keys);
}

static void maker_end(struct maker *m)
{
    free(m->specs);
    free(m->payloads);
    free(m->keys);
}

static void put(struct jobq *q, struct maker *m, int keyed)
{
    for (size_t i = 0; i < m->count; i++) {
        uint64_t n = ++serial;
        bench_payload(m->payloads[i], n);
        m->specs[i] = (struct jobq_spec){ .size = sizeof *m->specs, .queue = "bench",
                                          .payload = { m->payloads[i], BENCH_PAYLOAD } };
        if (keyed) {
            int size = snprintf(m->keys[i], sizeof m->keys[i], "key-%llu", (unsigned long long)n);
            m->specs[i].key = (struct jobq_bytes){ m->keys[i], (size_t)size };
        }
    }
    if (m->count == 1)
        must(jobq_enqueue(q, m->specs, NULL), "enqueue");
    else
        must(jobq_enqueue_many(q, m->specs, m->count, NULL), "enqueue");
}

static double measure_insert(struct jobq *q, size_t batch, int keyed, double seconds)
{
    struct maker m;
    double start, end;
    uint64_t count = 0;

    maker_begin(&m, batch);
    start = bench_now();
    do {
        put(q, &m, keyed);
        count += batch;
        end = bench_now();
    } while (end - start < seconds);
    maker_end(&m);
    return (double)count / (end - start);
}

struct crowd {
    struct jobq *q;
    double until;
    _Atomic uint64_t count;
};

static void *crowd_member(void *user)
{
    struct crowd *c = user;
    struct maker m;

    maker_begin(&m, 1);
    while (bench_now() < c->until) {
        put(c->q, &m, 0);
        c->count++;
    }
    maker_end(&m);
    return NULL;
}

static double measure_threads(struct jobq *q, int threads, double seconds)
{
    struct crowd c = { .q = q };
    pthread_t *all = calloc((size_t)threads, sizeof *all);
    double start = bench_now();

    c.until = start + seconds;
    for (int i = 0; i < threads; i++)
        pthread_create(&all[i], NULL, crowd_member, &c);
    for (int i = 0; i < threads; i++)
        pthread_join(all[i], NULL);
    free(all);
    return (double)c.count / (bench_now() - start);
}

static void fill(struct jobq *q, uint64_t count)
{
    struct maker m;

    maker_begin(&m, 1000);
    for (uint64_t i = 0; i < count; i += 1000)
        put(q, &m, 0);
    maker_end(&m);
}

static double measure_claim(struct jobq *q, size_t batch, double seconds)
{
    const char *queue = "bench";
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .limit = batch };
    struct jobq_jobs *jobs;
    uint64_t count = 0;
    double start, end;

    fill(q, 50000);
    start = bench_now();
    do {
        must(jobq_claim(q, &o, &jobs), "claim");
        for (size_t i = 0; i < jobs->count; i++)
            must(jobq_ack(q, &jobs->jobs[i].id, &jobs->jobs[i].token, NULL, 0), "ack");
        count += jobs->count;
        end = bench_now();
        batch = jobs->count;
        jobq_jobs_free(jobs);
    } while (batch && end - start < seconds);
    return (double)count / (end - start);
}

struct drain {
    double first, last, until;
    _Atomic uint64_t count;
    struct jobq_worker *worker;
};

static int drain_one(struct jobq_ctx *ctx, void *user)
{
    struct drain *d = user;

    (void)ctx;
    d->last = bench_now();
    if (d->count++ == 0)
        d->first = d->last;
    if (d->last > d->until)
        jobq_worker_stop(d->worker);
    return JOBQ_DONE;
}

static void work(struct jobq *q, struct drain *d, size_t batch, uint32_t flags)
{
    const char *queue = "bench";
    struct jobq_worker_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .threads = 1,
                                     .batch = batch, .flags = flags };

    must(jobq_worker_create(&d->worker, q, &o), "worker");
    must(jobq_worker_handle(d->worker, NULL, drain_one, d), "handler");
    must(jobq_worker_run(d->worker), "run");
    jobq_worker_destroy(d->worker);
}

static double measure_drain(struct jobq *q, double seconds)
{
    struct drain d = { .first = 0 };

    fill(q, 200000);
    d.until = bench_now() + seconds;
    work(q, &d, 500, JOBQ_WORKER_DRAIN);
    return (double)d.count / (d.last - d.first);
}

struct pickup {
    int answer;
};

static int answer_pickup(struct jobq_ctx *ctx, void *user)
{
    struct pickup *p = user;
    double now = bench_now();

    (void)ctx;
    return write(p->answer, &now, sizeof now) == sizeof now ? JOBQ_DONE : JOBQ_RETRY;
}

static void pickup_process(int answer)
{
    struct pickup p = { answer };
    const char *queue = "bench";
    struct jobq_worker_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1 };
    struct jobq_worker *w;

    must(jobq_worker_create(&w, open_queue(), &o), "worker");
    must(jobq_worker_handle(w, NULL, answer_pickup, &p), "handler");
    must(jobq_worker_run(w), "run");
    _exit(0);
}

static void measure_pickup(int count)
{
    int answer[2];
    double *took = calloc((size_t)count, sizeof *took), started;
    struct maker m;

    if (pipe(answer) != 0)
        exit(1);
    pid_t child = fork();
    if (child == 0)
        pickup_process(answer[1]);
    struct jobq *q = open_queue();
    maker_begin(&m, 1);
    for (int i = -1; i < count; i++) { /* the first one waits for the worker to come up */
        struct timespec gap = { 0, 5000000 };
        nanosleep(&gap, NULL);
        double start = bench_now();
        put(q, &m, 0);
        if (read(answer[0], &started, sizeof started) != sizeof started)
            exit(1);
        if (i >= 0)
            took[i] = (started - start) * 1000;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    maker_end(&m);
    jobq_close(q);
    qsort(took, (size_t)count, sizeof *took, bench_compare);
    bench_print("pickup-p50", bench_at(took, (size_t)count, 0.5), "ms");
    bench_print("pickup-p99", bench_at(took, (size_t)count, 0.99), "ms");
    free(took);
}

static int measure(const char *figure, double seconds)
{
    struct jobq *q;
    int n = 0;

    if (strcmp(figure, "pickup") == 0) {
        measure_pickup(200);
        return 0;
    }
    q = open_queue();
    if (sscanf(figure, "insert-%d", &n) == 1)
        bench_print(figure, measure_insert(q, (size_t)n, 0, seconds), "jobs/s");
    else if (sscanf(figure, "keyed-%d", &n) == 1)
        bench_print(figure, measure_insert(q, (size_t)n, 1, seconds), "jobs/s");
    else if (sscanf(figure, "threads-%d", &n) == 1)
        bench_print(figure, measure_threads(q, n, seconds), "jobs/s");
    else if (sscanf(figure, "claim-%d", &n) == 1)
        bench_print(figure, measure_claim(q, (size_t)n, seconds), "jobs/s");
    else if (strcmp(figure, "drain") == 0)
        bench_print(figure, measure_drain(q, seconds), "jobs/s");
    else
        n = -1;
    jobq_close(q);
    return n < 0 ? 2 : 0;
}

int main(int argc, char **argv)
{
    int rc = argc < 4 ? 2 : 0;

    uri = argv[1];
    for (int i = 3; i < argc && rc == 0; i++)
        rc = measure(argv[i], atof(argv[2]));
    return rc;
}
