/* SPDX-License-Identifier: MIT */
/* Putting jobs: one after the other, many a call, from many threads. */
#include "figures.h"

#include <pthread.h>
#include <stdatomic.h>

static _Atomic uint64_t serial;

struct maker {
    struct jobq_spec *specs;
    char (*payloads)[BENCH_PAYLOAD + 1];
    char (*keys)[32];
    char (*groups)[32];
    size_t count;
};

struct maker *maker_new(size_t count)
{
    struct maker *m = calloc(1, sizeof *m);

    m->count = count;
    m->specs = calloc(count, sizeof *m->specs);
    m->payloads = calloc(count, sizeof *m->payloads);
    m->keys = calloc(count, sizeof *m->keys);
    m->groups = calloc(count, sizeof *m->groups);
    return m;
}

void maker_free(struct maker *m)
{
    free(m->specs);
    free(m->payloads);
    free(m->keys);
    free(m->groups);
    free(m);
}

static void make(struct maker *m, size_t i, int how)
{
    const unsigned long long n = ++serial;

    bench_payload(m->payloads[i], n);
    m->specs[i] = (struct jobq_spec){
        .size = sizeof *m->specs, .queue = QUEUE, .payload = {m->payloads[i], BENCH_PAYLOAD}};
    if (how & PUT_KEYED) {
        int size = snprintf(m->keys[i], sizeof m->keys[i], "key-%llu", n);
        m->specs[i].key = (struct jobq_bytes){m->keys[i], (size_t)size};
    }
    if (how & PUT_GROUPED) {
        snprintf(m->groups[i], sizeof m->groups[i], "tenant-%llu", n % TENANTS);
        m->specs[i].group = m->groups[i];
    }
}

void maker_put(struct maker *m, struct jobq *q, int how)
{
    for (size_t i = 0; i < m->count; i++)
        make(m, i, how);
    if (m->count == 1)
        must(jobq_enqueue(q, m->specs, NULL), "enqueue");
    else
        must(jobq_enqueue_many(q, m->specs, m->count, NULL), "enqueue");
}

void fill(struct jobq *q, uint64_t count, int how)
{
    struct maker *m = maker_new(1000);

    for (uint64_t i = 0; i < count; i += 1000)
        maker_put(m, q, how);
    maker_free(m);
}

double measure_insert(struct jobq *q, size_t batch, int how, double seconds)
{
    struct maker *m = maker_new(batch);
    double start = bench_now(), end;
    uint64_t count = 0;

    do {
        maker_put(m, q, how);
        count += batch;
        end = bench_now();
    } while (end - start < seconds);
    maker_free(m);
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
    struct maker *m = maker_new(1);

    while (bench_now() < c->until) {
        maker_put(m, c->q, 0);
        c->count++;
    }
    maker_free(m);
    return NULL;
}

double measure_threads(struct jobq *q, int threads, double seconds)
{
    struct crowd c = {.q = q};
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
