/* SPDX-License-Identifier: MIT */
/*
 * A storm: several threads at one store, each with its own handle on the store interface, all of them doing
 * anything at any time to a bounded number of jobs. What the store answers is written down in a ledger, one
 * entry a job, and held against it.
 *
 * No order of the answers is assumed: two threads that are told of one job may write it down the other way
 * round. So an entry only counts, and what is held against the store does not depend on who came first.
 */
#ifndef CHAOS_STORM_H
#define CHAOS_STORM_H

#include <jobq/backend.h>

#include <stdatomic.h>
#include <stdbool.h>

#define STORM_QUEUES   3
#define STORM_KEEP     200 /* of the ended, by retention */
#define STORM_LEASE_MS 600000
#define STORM_HOLD     94 /* jobs of one thread, at most: two claims of the largest */
#define STORM_MOST     47 /* of a claim */

/* What happened to one job, by the answers. */
struct entry {
    atomic_int put, refused; /* of its put: OK; DUPLICATE or NO_PARENT */
    atomic_int completed, dead, cancelled, redriven, removed;
    atomic_int taken; /* how often it may have been taken from who held it: swept, or cancelled hard */
    atomic_int lost;  /* how often somebody was told so */
    _Atomic uint64_t attempts; /* bit n: attempt n began */
    /* As it was put. Atomic too: who reads them was told of the job by the store, and by no thread. */
    atomic_int queue, key; /* key: -1 for none */
    atomic_bool child;
};

struct storm {
    const struct jobq_backend *backend;
    const char *uri;
    long jobs;
    int threads;
    uint64_t seed;
    bool plain; /* jobs that nothing hangs on, and nobody dies */
    struct entry *ledger;
    atomic_long next;  /* job numbers below it are given out */
    atomic_long ended; /* jobs, by the answers */
    atomic_long failed, calls, claims, claimed;
    atomic_bool swept, broken;
    char trouble[1024]; /* the first that was found */
};

/* One thread of it. */
struct held {
    long number;
    struct jobq_id id;
    struct jobq_token token;
    int32_t failures, releases, snoozes;
    bool cancel; /* it was asked for */
};

struct blower {
    struct storm *storm;
    struct jobq_store *store;
    struct jobq_arena *arena; /* of one turn */
    struct jobq_error err;
    uint64_t dice, number, wants;
    uint8_t name;
    struct held held[STORM_HOLD];
    int held_count;
    struct jobq_bytes cursor;
    uint8_t cursor_bytes[4096];
};

/* ---- storm.c ---- */

int storm_open(struct blower *b, struct storm *storm, int name); /* 0, or -1 and it is noted */
void storm_close(struct blower *b);
void storm_new_turn(struct blower *b);
int storm_dice(struct blower *b, int sides); /* 0 .. sides - 1 */
/* Something is wrong: the first of it is kept, and all threads end soon. */
void storm_note(struct storm *storm, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool storm_send(struct blower *b, struct jobq_exchange *x); /* false: noted, or broken before */
bool storm_read(struct blower *b, struct jobq_query *query);
bool storm_stats(struct blower *b, struct jobq_stats *out);
bool storm_configure(struct blower *b, const struct jobq_settings *settings);
struct jobq_bytes storm_queue(int number);
struct jobq_id storm_id(long number);
long storm_number_of(const struct jobq_id *id);

/* ---- storm_turn.c ---- */

void storm_turn(struct blower *b);   /* anything */
void storm_leave(struct blower *b);  /* ends what it holds, or most of it */
void storm_settle(struct blower *b); /* all others have left: all jobs come to their end */

/* ---- storm_check.c ---- */

long storm_number(struct storm *storm,
                  const struct jobq_row *row); /* of a row that was put; -1: it is noted */
void storm_claimed(struct storm *storm, const struct jobq_row *row, const struct jobq_want *want);
void storm_check_stats(struct storm *storm, const struct jobq_stats *stats);
void storm_check_end(struct blower *b);   /* nothing is on its way any more */
void storm_check_empty(struct blower *b); /* all is removed: nothing is left */

/* ---- storm_plant.c ---- */

/* The same store with one mistake, by its number; NULL: there are no more. *name says what. One storm at a
 * time. */
const struct jobq_backend *storm_plant(const struct jobq_backend *backend, int number, const char **name);

#endif
