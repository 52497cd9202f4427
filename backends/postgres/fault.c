/* SPDX-License-Identifier: MIT */
/* What an error of the server means for the caller. */
#include "store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static bool begins(const struct fault *fault, const char *class)
{
    return strncmp(fault->state, class, strlen(class)) == 0;
}

int pq_fault_class(const struct fault *fault)
{
    if (fault->kind == FAULT_MEMORY)
        return JOBQ_FAILURE_FULL;
    if (begins(fault, "53100"))
        return JOBQ_FAILURE_FULL;
    /* Data, constraints, names and rights, limits of the program, and what a trigger of somebody's raises. */
    static const char *const refused[] = { "0A", "21", "22", "23", "25006", "26", "28", "2B", "3F", "42", "44", "54", "P0", "JQ" };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (begins(fault, refused[i]))
            return JOBQ_FAILURE_REFUSED;
    return JOBQ_FAILURE_TRANSIENT;
}

/* 23505: another made the same row at the same moment; next time it is found. */
bool pq_fault_again(const struct fault *fault)
{
    return fault->kind == FAULT_REPORTED && (begins(fault, "40001") || begins(fault, "40P01") || begins(fault, "23505"));
}

int pq_fault_report(const struct jobq_store *s, const struct fault *fault, struct jobq_error *err, int status)
{
    struct fault shown = *fault;
    pq_address_hide(&s->address, shown.text);
    return jobq_error_set(err, status, NULL, "postgres: %s: %s", s->address.shown, shown.text);
}

/* Up to 2, 4, 8 ... ms, drawn anew each time, so that those who met do not meet again. */
void pq_pause(int turn)
{
    uint32_t dice = 0;
    if (getrandom(&dice, sizeof dice, GRND_NONBLOCK) < 0)
        dice = (uint32_t)pq_now_us();
    long most = 2000000L << (turn < 5 ? turn : 5);
    struct timespec ts = { .tv_nsec = 200000L + (long)(dice % (uint32_t)most) };
    nanosleep(&ts, NULL);
}
