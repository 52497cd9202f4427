/* SPDX-License-Identifier: MIT */
/* The parts of jobq-bench. Everything goes through the public interface; an error ends the program. */
#ifndef FIGURES_H
#define FIGURES_H

#include "bench.h"

#include <jobq/jobq.h>

#define QUEUE "bench"

struct bench {
    const char *uri;
    double seconds; /* for each figure */
    uint64_t jobs;  /* that are put before something is drained */
};

/* bench.c */
void must(int rc, const char *what);
/* name_space NULL: that of the URI; keep NULL: the default. */
struct jobq *bench_open(const struct bench *b, const char *name_space, const struct jobq_keep *keep);

/* put.c */
enum { PUT_KEYED = 1, PUT_GROUPED = 2 };
#define TENANTS 1000 /* among whom PUT_GROUPED deals the jobs out */

struct maker;
struct maker *maker_new(size_t count);
void maker_free(struct maker *m);
void maker_put(struct maker *m, struct jobq *q, int how);
void fill(struct jobq *q, uint64_t count, int how);
double measure_insert(struct jobq *q, size_t batch, int how, double seconds);
double measure_threads(struct jobq *q, int threads, double seconds);

/* take.c */
struct drain {
    double first;    /* when the worker began */
    double last;     /* when the clock was read last, in a handler */
    double until;    /* when to stop */
    uint64_t count;  /* jobs that ran */
    uint64_t timed;  /* and those that had run at `last` */
    uint64_t enough; /* stop after so many; 0: no such end */
    struct jobq_worker *worker;
};
double drain_rate(const struct drain *d);
/* batch: jobs that the worker holds beyond the running one; 0: none. */
void drain(struct jobq *q, struct drain *d, size_t batch, double seconds);
double measure_drain(const struct bench *b, size_t batch);
double measure_processes(const struct bench *b, int count);
double measure_claim(const struct bench *b, size_t batch);
void print_together(const struct bench *b);
void print_tenants(const struct bench *b);
void print_backlog(const struct bench *b, uint64_t count);
void print_finished(const struct bench *b, uint64_t count);
void check_once(const struct bench *b);

/* process.c */
void print_pickup(const struct bench *b);
void print_worker(const struct bench *b);
void print_settings(const struct bench *b);

#endif
