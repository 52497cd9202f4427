/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_ALARM_H
#define VIDEO_ALARM_H

/*
 * Looks at all queues now and then and runs a program when something is wrong: errors (more than 5 % of what
 * is kept has failed), pending (more than 1,000 wait), stuck (more than 10), slow (on average) and no_worker
 * (something waits and nobody takes it). The program is run once when that begins, hourly while it lasts and
 * once when it is over, with one JSON object on its standard input:
 *
 *   {"alert", "queue", "state": "raised", "repeated" or "cleared",
 *    "issue", "recommendation", "value", "limit", "since"}
 *
 * One that fails is run again at the next look. The same is said on standard error.
 */

#include <jobq/jobq.h>

struct alarm;

struct alarm_options {
    const char *program; /* absolute */
    int64_t every_ms;
    int64_t slow_ms; /* on average; 0: the library's default */
};

/* `q` is lent. NULL without memory or a thread. */
struct alarm *alarm_start(struct jobq *q, const struct alarm_options *options);

/* A program that runs is ended. NULL is fine. */
void alarm_stop(struct alarm *alarm);

#endif
