/* SPDX-License-Identifier: MIT */
#ifndef SYNC_WATCH_H
#define SYNC_WATCH_H

/* Looks at the queue every 15 seconds and says on stderr when something is wrong:
 *   ALERT raised|repeated|cleared WHAT: what is known of it
 * with the words errors (more than 5 % of what is kept has failed), pending (more than 1,000 wait), stuck
 * (more than 10), slow (more than 10 s on average), no_worker (nobody answers, after our own
 * worker has begun) and index (it cannot be
 * reached). */

#include <jansson.h>
#include <pthread.h>

#include "alert.h"
#include "batch.h"

enum { WATCH_ALERTS = 6 };

struct watch {
    struct jobq *q;        /* lent */
    struct jobq_worker *w; /* lent */
    struct batch *batch;   /* lent */
    const char *queue;
    int64_t every_ms;
    /* inside */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int ending;
    int has_begun; /* our worker has called the store */
    uint64_t swept;
    struct alert alerts[WATCH_ALERTS];
    char issues[WATCH_ALERTS][300];
};

/* 0 or -1. */
int watch_start(struct watch *watch);
void watch_stop(struct watch *watch);

/* Look now. */
void watch_look(struct watch *watch);

/* [{"alert", "issue", "since"}] of what is wrong now. */
json_t *watch_alerts(struct watch *watch);

#endif
