/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_DESK_H
#define TENANTS_DESK_H

/*
 * Connections to the program's tables for the handlers, which run in many threads: each takes a desk and
 * gives it back. Where the tables are beside the queue, in one database, a desk has a handle on the queue
 * inside the connection's transactions too.
 */

#include <pthread.h>

#include "db.h"

#define DESKS_MOST 64

struct desk {
    struct db *db;
    struct jobq *mine; /* NULL: the queue is in another database */
};

struct desks {
    const char *database; /* NULL: there are no tables */
    const char *store;    /* the store's address when it is the same database, else NULL */
    const struct jobq_options *options;
    /* inside */
    pthread_mutex_t lock;
    struct desk free[DESKS_MOST];
    size_t count;
};

int desks_init(struct desks *desks);
void desks_finish(struct desks *desks);

/* 0, or -1 and why. */
int desk_take(struct desks *desks, struct desk *out, char why[300]);

/* `failed` not 0: it is closed, and the next one is new. */
void desk_give_back(struct desks *desks, struct desk *desk, int failed);

#endif
