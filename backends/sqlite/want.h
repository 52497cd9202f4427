/* SPDX-License-Identifier: MIT */
/* What the files of a want know of each other: want.c begins and ends it, take.c takes what is due, overdue.c what is late. */
#ifndef JOBQ_SQLITE_WANT_H
#define JOBQ_SQLITE_WANT_H

#include "store.h"

/* What a claim has to know besides the row that is handed out. */
struct taken {
    int64_t n, queue, lane, place;
    int32_t flags;
    bool plain;     /* may be one of a batch */
    bool held;      /* is one of a batch */
    bool calm;      /* neither alarm nor progress */
    bool frees_key; /* perhaps */
};

/* The answer as it grows. */
struct catch {
    struct turn *t;
    struct jobq_want *want;
    struct jobq_row *rows;
    struct taken *taken; /* of due rows; freed by who began it */
    size_t room;         /* of both */
    size_t count, bytes;
    size_t settled; /* so many of them are claimed, or given as too late */
    size_t expired;
    int64_t fence;
    sqlite3_stmt *circle; /* a walk along the groups of a queue, standing on `stands`; NULL: none */
    struct jobq_bytes stands;
    bool batches; /* rows of the queue that is looked at may be claimed by one record */
    bool passed;  /* in the list that is looked at, rows that stay: what stands behind them has no record, or a lane's
                   * front would be past them */
    bool full; /* `limit` or `bytes` is reached */
};

static inline size_t at_most(size_t value, size_t most)
{
    return value < most ? value : most;
}

/* The queues and kinds that are named, by number; those that do not exist are left out, a queue named twice counts once. */
struct wanted {
    int64_t *queues, *kinds;
    size_t queue_count, kind_count;
    bool any_kind;
};

/* Where a walk along a list is, and the rows of batches that it jumps over. */
struct walk {
    int64_t list, place, n;
    bool behind; /* it goes on behind n, at the same place; else with that place */
    /* of a lane: */
    int64_t line, front_place, front_n;
    bool early; /* something may wait before the front */
    /* those behind where it began */
    struct stretch {
        int64_t place, first, last;
    } *passed;
    size_t count, room, at; /* at: the next of them; along a lane, how many records were jumped over */
};
int sq_walk_begin(struct jobq_store *s, struct walk *w, int64_t list); /* free w->passed, also after -1 */
/* Is this row of a batch? Then the walk is to begin anew, behind it. 1, 0, -1. */
int sq_walk_jumps(struct jobq_store *s, struct walk *w, int64_t place, int64_t n);
/* What it began anew for is at its end: does it go on? */
bool sq_walk_goes_on(struct walk *w);

bool sq_want_room(struct catch *c, size_t payload_bytes); /* for one more row of this size? */
int sq_want_token(struct catch *c);                       /* drawn once */
struct jobq_row *sq_want_give(struct catch *c, int overdue);
bool sq_kind_wanted(const struct wanted *wanted, int64_t kind);
int64_t sq_list_wanted(const struct jobq_want *want, int64_t queue);
/* Has the list a row of a kind that is wanted (NULL: any)? 1, 0, -1. */
int sq_list_has(struct jobq_store *s, const struct wanted *wanted, int64_t list);

int sq_take_due(struct catch *c, const struct wanted *wanted);
int sq_take_overdue(struct catch *c);

#endif
