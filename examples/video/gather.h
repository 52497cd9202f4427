/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_GATHER_H
#define VIDEO_GATHER_H

/*
 * Submissions on their way into the store. One that comes alone is put at once, by the thread that read it;
 * those that come while the store is busy with another wait together and are put in one exchange, so that a
 * hundred at the same moment wait for its lock and its disk once or twice, and not a hundred times. The same
 * holds for those that come right behind another client's: they may be read by one thread, which must not put
 * the first while the others are still unread.
 */

#include <jobq/jobq.h>

#include "request.h"

struct http_server;
struct gather;

struct gathered {
    struct request request; /* owned */
    char tenant[256];
    struct jobq_id id; /* that it is put under: repeated after an unknown outcome it takes effect once */
    struct jobq_parent fetch; /* what it waits for when its video is elsewhere */
    /* once it is done: */
    int status; /* of the put */
    struct jobq_enqueued put;
    char field[32], problem[600]; /* of a negative status */
    size_t together;              /* how many went in its exchange */
    /* its keeper's */
    int done, refs;
    const void *from;
    struct gathered *next;
};

/* `q` is lent, and used by nobody else. NULL without memory. */
struct gather *gather_create(struct jobq *q);

/* Begins to wake the server's short waits. Returns 0, or -1 when there is no thread. */
int gather_start(struct gather *gather, struct http_server *server);

/* The server is about to stop, and asks by itself: it is not woken any more. */
void gather_hush(struct gather *gather);

/* Ends the thread, when all are in; call after the server has stopped. */
void gather_stop(struct gather *gather);
void gather_destroy(struct gather *gather);

/* Put this, whose memory is taken over; `from` tells one client from another. It may be done on return; else
 * the server's short waits are woken when it is. gather_leave follows. NULL without memory. Threads: any, as
 * all below. */
struct gathered *gather_put(struct gather *gather, struct request *request, const char *tenant,
                            const void *from);

/* What came before: whose it was, and when its exchange ended. */
struct gather_before {
    const void *from; /* NULL: of several */
    int64_t ended_us;
};

/* 1 when a submission of this client comes alone. Pure. */
int gather_is_alone(const struct gather_before *before, const void *from, int64_t now_us);

/* 1 when it is in the store or was refused; with `wait` that is waited for. */
int gather_is_done(struct gather *gather, struct gathered *gathered, int wait);

void gather_leave(struct gather *gather, struct gathered *gathered);

#endif
