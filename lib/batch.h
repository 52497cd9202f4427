/* SPDX-License-Identifier: MIT */
/* What call.c, combine.c and send.c know of each other: calls, and the exchange that several of them share. */
#ifndef JOBQ_BATCH_H
#define JOBQ_BATCH_H

#include "internal.h"

enum stage { STAGE_NEW, STAGE_QUEUED, STAGE_SENT, STAGE_DONE };

struct shared_answer {
    struct jobq_arena *arena; /* it lies in there itself */
    int refs; /* under the handle's lock once the call is queued; see call_unref */
};

/* The items of one exchange, gathered from its calls. Borrowed from the call when there is only one. */
struct batch {
    struct call *first; /* linked by next */
    size_t calls, beats, changes, puts;
    struct jobq_exchange x;
    struct jobq_want want; /* joined */
    struct call *want_owner;
    struct jobq_arena *arena;
    struct shared_answer *shared; /* in the arena */
    struct jobq_error error;
};

/* ---- combine.c ---------------------------------------------------------------------------------------------------- */

/* Of one call alone, with memory of somebody else. */
void batch_of_one(struct batch *b, struct call *call, struct jobq_arena *arena);
/* Take calls from the head of the list while they fit. Lock held. */
void batch_take(struct jobq *q, struct batch *b);
/* The memory of the answer, with the few bytes that say who still needs it: b->arena is NULL without memory. */
void batch_room(struct batch *b);
int batch_gather(struct batch *b); /* -1 without memory */
void batch_answer(struct batch *b);
bool batch_made_work(const struct batch *b); /* is there something for who looks for jobs? */
/* Hand the arena to the calls. Lock held. */
void batch_finish(struct batch *b, bool poked);

/* ---- send.c ------------------------------------------------------------------------------------------------------- */

/* One exchange from gathering to dealing out; in smaller ones if the store refuses it. */
void batch_run(struct lane *lane, struct batch *b);

#endif
