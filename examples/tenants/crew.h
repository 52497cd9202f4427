/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_CREW_H
#define TENANTS_CREW_H

/* A worker for each class, with as many threads as it may run jobs at once, and one for the alerts. */

#include <pthread.h>

#include "office.h"
#include "order.h"

#define ALERT_QUEUE "alerts"

struct crew_options {
    int64_t lease_ms, poll_ms, grace_ms;
    int drain;
};

struct crew;

struct crew_member {
    struct crew *crew;
    struct jobq_worker *worker;
    pthread_t thread;
    int running, status;
};

struct crew {
    struct crew_member members[CLASS_COUNT + 1];
};

/* 0, or -1 with jobq_last_error(). */
int crew_init(struct crew *crew, struct office *office, const struct crew_options *options);

/* Until crew_stop, or with drain until nothing is left to do. Returns as jobq_worker_run. */
int crew_run(struct crew *crew, int drain);

/* Async-signal-safe as jobq_worker_stop is. */
void crew_stop(struct crew *crew);
void crew_finish(struct crew *crew);

#endif
