/* SPDX-License-Identifier: MIT */
/* One turn on its way: turn.c fills it, answer.c reads what came back. */
#ifndef JOBQ_TURN_H
#define JOBQ_TURN_H

#include "worker.h"

enum use { USE_JUDGE, USE_OUTCOME, USE_EARLY, USE_PROGRESS };

/* What change i of the call is about. */
struct slot {
    enum use use;
    struct jobq_ctx *job; /* NULL: a judgement */
};

struct turn {
    struct jobq_worker *w;
    struct answer *answer;
    struct call *call;
    struct claim **beaten; /* by beat */
    size_t *expected;      /* by beat: rows that it should find */
    struct slot *slots;    /* by change */
    const struct jobq_row **about; /* by change */
    size_t items, bytes;   /* room that is left */
    size_t handing;        /* jobs that are free if the store takes this */
    size_t judged;         /* rows of w->judge that are in */
    struct jobq_worker_counts settled; /* by outcome: what the answer adds */
    bool progress;         /* some progress is to be sent */
    bool leaving;
    bool beside; /* it may be under way together with another one */
    bool failed_item;
    bool trouble; /* an item failed by the store, not by itself */
    struct jobq_want want;
    struct jobq_worker_record record;
    int64_t sent_ms;
    struct jobq_ctx *handin; /* the jobs whose outcomes are in */
    struct turn *next;       /* courier.c's */
    int rc;                  /* of call_send */
};

/* Deal out the answer. */
void turn_answer(struct turn *t);
/* The turn could not be made or sent: its progress is still new. */
void turn_not_sent(struct turn *t);
/* Its jobs are forgotten, or to be handed in again. */
void turn_unload(struct turn *t);
/* The wait before the next try, longer each time, with jitter. */
int64_t worker_back_off(struct jobq_worker *w);

#endif
