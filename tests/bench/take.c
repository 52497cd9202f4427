/* SPDX-License-Identifier: MIT */
/* Taking jobs: through the worker, from several processes, beside one that puts, before a backlog, with
 * limits. */
#include "figures.h"

#include <sys/wait.h>
#include <unistd.h>

/* The clock is read for every 64th job only: it costs as much as the memory store does. */
static int drain_one(struct jobq_ctx *ctx, void *user)
{
    struct drain *d = user;

    (void)ctx;
    d->count++;
    if (d->enough && d->count >= d->enough)
        jobq_worker_stop(d->worker);
    else if (d->count % 64 != 1)
        return JOBQ_DONE;
    d->last = bench_now();
    d->timed = d->count;
    if (d->last > d->until)
        jobq_worker_stop(d->worker);
    return JOBQ_DONE;
}

double drain_rate(const struct drain *d)
{
    return d->timed ? (double)d->timed / (d->last - d->first) : 0;
}

void drain(struct jobq *q, struct drain *d, size_t batch, double seconds)
{
    const char *queue = QUEUE;
    const struct jobq_worker_options o = {.size = sizeof o,
                                          .queues = &queue,
                                          .queue_count = 1,
                                          .threads = 1,
                                          .batch = batch,
                                          .flags = JOBQ_WORKER_DRAIN | (batch ? 0 : JOBQ_WORKER_NO_BATCH)};

    must(jobq_worker_create(&d->worker, q, &o), "worker");
    must(jobq_worker_handle(d->worker, NULL, drain_one, d), "handler");
    d->first = bench_now();
    d->until = d->first + seconds;
    must(jobq_worker_run(d->worker), "run");
    jobq_worker_destroy(d->worker);
}

double measure_drain(const struct bench *b, size_t batch)
{
    struct drain d = {0};
    struct jobq *q = bench_open(b, NULL, NULL);

    fill(q, b->jobs, 0);
    drain(q, &d, batch, b->seconds);
    jobq_close(q);
    return drain_rate(&d);
}

double measure_claim(const struct bench *b, size_t batch)
{
    const char *queue = QUEUE;
    const struct jobq_claim_options o = {
        .size = sizeof o, .queues = &queue, .queue_count = 1, .limit = batch};
    struct jobq *q = bench_open(b, NULL, NULL);
    struct jobq_jobs *jobs;
    uint64_t count = 0;

    fill(q, b->jobs, 0);
    double start = bench_now(), end;
    do {
        must(jobq_claim(q, &o, &jobs), "claim");
        for (size_t i = 0; i < jobs->count; i++)
            must(jobq_ack(q, &jobs->jobs[i].id, &jobs->jobs[i].token, NULL, 0), "ack");
        batch = jobs->count;
        count += batch;
        end = bench_now();
        jobq_jobs_free(jobs);
    } while (batch && end - start < b->seconds);
    jobq_close(q);
    return (double)count / (end - start);
}

/* ---- processes ----------------------------------------------------------------------------------------- */

static pid_t start_drain(const struct bench *b, struct drain *d)
{
    pid_t child = fork();

    if (child != 0)
        return child;
    struct jobq *q = bench_open(b, NULL, NULL);
    drain(q, d, 500, b->seconds);
    jobq_close(q);
    _exit(0);
}

static void await(pid_t child)
{
    int status = 0;

    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "a process of the figure failed\n");
        exit(1);
    }
}

double measure_processes(const struct bench *b, int count)
{
    struct drain *all = bench_shared((size_t)count * sizeof *all);
    pid_t *children = calloc((size_t)count, sizeof *children);
    struct jobq *q = bench_open(b, NULL, NULL);
    double first = 0, last = 0;
    uint64_t done = 0;

    fill(q, b->jobs, 0);
    jobq_close(q);
    for (int i = 0; i < count; i++)
        children[i] = start_drain(b, &all[i]);
    for (int i = 0; i < count; i++) {
        await(children[i]);
        first = first == 0 || all[i].first < first ? all[i].first : first;
        last = all[i].last > last ? all[i].last : last;
        done += all[i].timed;
    }
    free(children);
    munmap(all, (size_t)count * sizeof *all);
    return (double)done / (last - first);
}

/* Solo, together: the same sizes, each for the same time. */
void print_together(const struct bench *b)
{
    struct drain *d = bench_shared(2 * sizeof *d);
    struct jobq *q = bench_open(b, NULL, NULL);
    double fill_alone = measure_insert(q, 100, 0, b->seconds);

    fill(q, b->jobs, 0);
    jobq_close(q);
    await(start_drain(b, &d[0]));
    q = bench_open(b, NULL, NULL);
    fill(q, b->jobs, 0);
    jobq_close(q);
    pid_t child = start_drain(b, &d[1]);
    q = bench_open(b, NULL, NULL);
    double fill_beside = measure_insert(q, 100, 0, b->seconds);
    await(child);
    jobq_close(q);
    bench_print_against("together-fill", fill_beside, "jobs/s", "alone", fill_alone);
    bench_print_against("together-drain", drain_rate(&d[1]), "jobs/s", "alone", drain_rate(&d[0]));
    munmap(d, 2 * sizeof *d);
}

/* ---- limits -------------------------------------------------------------------------------------------- */

static void limit(struct jobq *q)
{
    struct jobq_limit all = {.size = sizeof all,
                             .of = JOBQ_LIMIT_GROUP,
                             .name = "",
                             .set = JOBQ_LIMIT_CONCURRENCY,
                             .concurrency = 50};
    struct jobq_limit queue = {.size = sizeof queue,
                               .of = JOBQ_LIMIT_QUEUE,
                               .name = QUEUE,
                               .set = JOBQ_LIMIT_CONCURRENCY | JOBQ_LIMIT_GROUP_CONCURRENCY,
                               .concurrency = 5000,
                               .group_concurrency = 50};

    must(jobq_limit_set(q, &all), "limit");
    must(jobq_limit_set(q, &queue), "limit");
}

void print_tenants(const struct bench *b)
{
    struct drain with = {0}, without = {0};
    struct jobq *plain = bench_open(b, "plain", NULL), *limited = bench_open(b, "limited", NULL);

    limit(limited);
    fill(plain, b->jobs, 0);
    fill(limited, b->jobs, PUT_GROUPED);
    drain(plain, &without, 500, b->seconds);
    drain(limited, &with, 500, b->seconds);
    jobq_close(plain);
    jobq_close(limited);
    bench_print_against("tenants", drain_rate(&with), "jobs/s", "without", drain_rate(&without));
}

/* ---- much before, much behind -------------------------------------------------------------------------- */

struct side {
    struct jobq *q;
    double put_s, take_s;
    uint64_t put, took;
};

#define ROUND 5000

/* Puts ROUND jobs and takes as many, so that the backlog stays what it is. */
static void round_of(struct side *s)
{
    struct drain d = {.enough = ROUND};
    double start = bench_now();

    fill(s->q, ROUND, 0);
    s->put_s += bench_now() - start;
    s->put += ROUND;
    drain(s->q, &d, 100, 60);
    s->take_s += d.last - d.first;
    s->took += d.timed;
}

/* In turn, so that both sides meet the same machine. The first round of each warms it up. */
static void print_sides(const struct bench *b, struct side *few, struct side *many, const char *name,
                        const char *against)
{
    char line[80];

    round_of(few);
    round_of(many);
    few->put_s = few->take_s = many->put_s = many->take_s = 0;
    few->put = few->took = many->put = many->took = 0;
    for (double end = bench_now() + 4 * b->seconds; bench_now() < end;) {
        round_of(few);
        round_of(many);
    }
    snprintf(line, sizeof line, "%s-put", name);
    bench_print_against(line, (double)many->put / many->put_s, "jobs/s", against,
                        (double)few->put / few->put_s);
    snprintf(line, sizeof line, "%s-drain", name);
    bench_print_against(line, (double)many->took / many->take_s, "jobs/s", against,
                        (double)few->took / few->take_s);
    jobq_close(few->q);
    jobq_close(many->q);
}

void print_backlog(const struct bench *b, uint64_t count)
{
    struct side few = {.q = bench_open(b, "few", NULL)}, many = {.q = bench_open(b, "many", NULL)};

    fill(few.q, 1000, 0);
    fill(many.q, count, 0);
    print_sides(b, &few, &many, "backlog", "1000");
}

void print_finished(const struct bench *b, uint64_t count)
{
    const struct jobq_keep keep = {.size = sizeof keep, .completed = (int64_t)count};
    struct side few = {.q = bench_open(b, "few", NULL)}, many = {.q = bench_open(b, "many", &keep)};
    struct drain d = {0};

    fill(many.q, count, 0);
    drain(many.q, &d, 500, 3600);
    fill(few.q, 1000, 0);
    fill(many.q, 1000, 0);
    print_sides(b, &few, &many, "finished", "1000");
}

/* ---- exactly once -------------------------------------------------------------------------------------- */

static int count_run(struct jobq_ctx *ctx, void *user)
{
    _Atomic uint32_t *runs = user;
    unsigned long long n = 0;

    if (sscanf(jobq_ctx_job(ctx)->payload.data, "{\"n\":%llu", &n) != 1)
        return JOBQ_GIVE_UP;
    runs[n]++;
    return JOBQ_DONE;
}

static pid_t start_counting(const struct bench *b, _Atomic uint32_t *runs)
{
    const char *queue = QUEUE;
    const struct jobq_worker_options o = {.size = sizeof o,
                                          .queues = &queue,
                                          .queue_count = 1,
                                          .threads = 2,
                                          .batch = 100,
                                          .flags = JOBQ_WORKER_DRAIN};
    struct jobq_worker *w;
    pid_t child = fork();

    if (child != 0)
        return child;
    struct jobq *q = bench_open(b, NULL, NULL);
    must(jobq_worker_create(&w, q, &o), "worker");
    must(jobq_worker_handle(w, NULL, count_run, runs), "handler");
    must(jobq_worker_run(w), "run");
    jobq_worker_destroy(w);
    jobq_close(q);
    _exit(0);
}

static uint64_t completed(const struct bench *b)
{
    struct jobq *q = bench_open(b, NULL, NULL);
    struct jobq_stats *stats;

    must(jobq_stats(q, QUEUE, &stats), "stats");
    uint64_t count = stats->queue_count ? stats->queues[0].completed_total : 0;
    jobq_stats_free(stats);
    jobq_close(q);
    return count;
}

void check_once(const struct bench *b)
{
    const uint64_t count = b->jobs / 1000 * 1000;
    const size_t size = (count + 1) * sizeof(uint32_t);
    _Atomic uint32_t *runs = bench_shared(size);
    struct jobq *q = bench_open(b, NULL, NULL);
    uint64_t wrong = 0;

    fill(q, count, 0);
    jobq_close(q);
    pid_t one = start_counting(b, runs), other = start_counting(b, runs);
    await(one);
    await(other);
    for (uint64_t i = 1; i <= count; i++)
        wrong += runs[i] != 1;
    munmap(runs, size);
    if (wrong || completed(b) != count) {
        fprintf(stderr, "%llu jobs did not run exactly once; %llu of %llu completed\n",
                (unsigned long long)wrong, (unsigned long long)completed(b), (unsigned long long)count);
        exit(1);
    }
    bench_print("once", (double)count, "jobs");
}
