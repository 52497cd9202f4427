/* SPDX-License-Identifier: MIT */
#ifndef SYNC_BATCH_H
#define SYNC_BATCH_H

/*
 * The handler of changes. Each job runs in a thread of the worker; those that are there together go to the
 * index in one request: whoever came first waits a moment for others, sends for all of them, and tells each
 * what became of its own. One request is under way at a time, so a process keeps the order of a record's
 * changes; between processes the versions do.
 *
 * While the index cannot be reached the jobs stay in hand, under leases that the worker keeps: they lose
 * neither their place nor an attempt.
 */

#include <pthread.h>

#include "client.h"
#include "request.h"

#define BATCH_MOST 100

struct slot;

struct batch {
    struct client client;
    size_t most; /* changes in one request, 1 to BATCH_MOST */
    int64_t
        pause_ms; /* the first wait for an index that cannot be reached; doubles up to thirty times as much */
    /* inside */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct slot *waiting[BATCH_MOST];
    size_t count;
    int sending, prepared;
    atomic_int give_up;
    /* what happened, under the lock */
    uint64_t requests, sent, folded, older, unreachable;
    int reachable; /* as the newest request found it; -1: none yet */
    char trouble[256];
};

/* Fill client, most and pause_ms before. 0 or -1. */
int batch_init(struct batch *batch);
void batch_finish(struct batch *batch);

/* A jobq_handler; user is the batch. */
int batch_handle(struct jobq_ctx *ctx, void *user);

/* End a request under way; what it held is given back. */
void batch_give_up(struct batch *batch);

#endif
