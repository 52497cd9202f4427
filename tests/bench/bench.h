/* SPDX-License-Identifier: MIT */
/* What the measuring programs share: a clock, a payload, and one line per figure: NAME VALUE UNIT [WHAT
 * OTHER], the last two where a program measures by itself what the figure is to be held against. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define BENCH_PAYLOAD 200
#define BENCH_PICKUPS 100 /* jobs that a pickup figure times */

static inline double bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void bench_rest(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    nanosleep(&t, NULL);
}

/* 200 bytes of JSON, different for each number so that nothing can be shared; without printf, which takes as long as half a put in
 * the memory store. */
static inline void bench_payload(char out[BENCH_PAYLOAD + 1], uint64_t number)
{
    static const char text[] = ",\"text\":\"";
    char digits[20], *at = out + 5;
    int count = 0;

    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    memset(out, 'x', BENCH_PAYLOAD);
    memcpy(out, "{\"n\":", 5);
    while (count)
        *at++ = digits[--count];
    memcpy(at, text, sizeof text - 1);
    memcpy(out + BENCH_PAYLOAD - 2, "\"}", 3);
}

/* Zeroed memory that the children of this process write to as well. */
static inline void *bench_shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

static inline void bench_print(const char *name, double value, const char *unit)
{
    printf("%s %.4f %s\n", name, value, unit);
    fflush(stdout);
}

static inline void bench_print_against(const char *name, double value, const char *unit, const char *what,
                                       double other)
{
    printf("%s %.4f %s %s %.4f\n", name, value, unit, what, other);
    fflush(stdout);
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static inline double bench_at(double *sorted, size_t count, double part)
{
    return sorted[(size_t)((double)(count - 1) * part)];
}

/* Sorts the times and prints their middle and their tail. */
static inline void bench_print_pickup(double *ms, size_t count)
{
    qsort(ms, count, sizeof *ms, bench_compare);
    bench_print("pickup-p50", bench_at(ms, count, 0.5), "ms");
    bench_print("pickup-p99", bench_at(ms, count, 0.99), "ms");
}

#endif
