/* SPDX-License-Identifier: MIT */
/* The store behind a door that the test holds. */
#ifndef DOOR_H
#define DOOR_H

#include "kit.h"

struct door {
    const struct jobq_backend *inner;
    struct kit *kit;
    int calls;
    int fail;         /* fail this many exchanges, before they do anything */
    int unknown;      /* do it, but lose the answer of this many */
    int fault_at;     /* the number of the exchange that has the fault (from 1); 0: none */
    int fault;        /* JOBQ_FAILED, or JOBQ_UNKNOWN */
    int fault_length; /* how many in a row */
    int fired;
    size_t refuse_result;  /* refuse an exchange with a result of this size */
    size_t refuse_payload; /* or a put with such a payload */
    size_t refuse_error;
    size_t full_above; /* no room for an exchange with a result larger than this; 0: enough for all */
    bool full_for_beats, full_for_wants; /* no room even for these, as a store says it that does all in one */
    int64_t slow_ms;                     /* each exchange takes this long */
    int want_fails;
    int event; /* a wake-up of the test's own */
    int alarm; /* what wake_drain says */
    struct {
        size_t beats, changes, want, puts;
    } last[64]; /* what the exchanges carried, the newest at calls % 64 */
};
extern struct door door;
/* The table of the store behind the door, with the door open; the test may change it before kit_open_with. */
struct jobq_backend *door_open(struct kit *k);
void open_behind_door(struct kit *k);

/* Turns and deadlines until the worker has done with `count` jobs. */
void live_until_completed(struct kit *k, uint64_t count);

#endif
