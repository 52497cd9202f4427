/* SPDX-License-Identifier: MIT */
/*
 * A store that wraps a store and lets calls go wrong on purpose. It speaks <jobq/backend.h> on both sides, so that
 * whatever talks to a store can talk to it.
 *
 * A call is an exchange, a read, a stats or a configure, counted from 1 over all handles of the plan. A call that fails
 * never reaches the store: certainly no effect. A call whose answer is lost has its effect, and the caller learns
 * nothing but UNKNOWN.
 */
#ifndef INJECT_H
#define INJECT_H

#include <jobq/backend.h>

#define INJECT_STOPPED 99

struct inject_plan {
    const struct jobq_backend *inner;
    long fail_call;    /* this call fails; 0: none */
    long lose_call;    /* the answer of this call is lost, if it is an exchange; 0: none */
    long stop_call;    /* the process ends at this call, with status INJECT_STOPPED; 0: none */
    int stop_late;     /* not 0: behind it, when the store has done what was asked for */
    int lose_each;     /* not 0: the answer of every exchange is lost, unless it repeats the one before */
    const char *trace; /* prefix of a line on stderr for each call; NULL: silent */
    /* what happened */
    long calls, failed, lost;
};

/* What an exchange answered, kept apart from the caller. Rows and marks are lent by the arena of that call. */
struct inject_answer {
    uint8_t client[16];
    uint64_t number;
    int32_t unit, want_unit;
    struct jobq_beat *beats;
    struct jobq_change *changes;
    struct jobq_put *puts;
    struct jobq_want want;
};

/* The table of the wrapping store. The plan is that of inject_begin; there is one at a time. */
const struct jobq_backend *inject_backend(void);

/* From now on open wraps plan->inner and obeys the plan, which is lent until inject_end. */
void inject_begin(struct inject_plan *plan);
void inject_end(void);

/* The newest answer that was lost; number 0: none. Lent until the next one is lost or inject_end. */
const struct inject_answer *inject_lost(void);

#endif
