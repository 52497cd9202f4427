/* SPDX-License-Identifier: MIT */
/* What the measuring programs share: a clock, a payload, and one line per figure: NAME VALUE UNIT. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_PAYLOAD 200

static inline double bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* 200 bytes of JSON, different for each number so that nothing can be shared. */
static inline void bench_payload(char out[BENCH_PAYLOAD + 1], uint64_t number)
{
    int used = snprintf(out, BENCH_PAYLOAD + 1, "{\"n\":%llu,\"text\":\"", (unsigned long long)number);

    memset(out + used, 'x', (size_t)(BENCH_PAYLOAD - used));
    memcpy(out + BENCH_PAYLOAD - 2, "\"}", 3);
}

static inline void bench_print(const char *name, double value, const char *unit)
{
    printf("%s %.3f %s\n", name, value, unit);
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

#endif
