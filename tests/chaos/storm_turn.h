/* SPDX-License-Identifier: MIT */
/* What the files of a thread's turn share. */
#ifndef CHAOS_STORM_TURN_H
#define CHAOS_STORM_TURN_H

#include "storm.h"

#include <stdlib.h>

#define STORM_GROUPS  6
#define STORM_LONG_MS 3600000

static inline bool one_in(struct blower *b, int n)
{
    return storm_dice(b, n) == 0;
}

static inline int between(struct blower *b, int low, int high)
{
    return low + storm_dice(b, high - low + 1);
}

static inline void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* ---- storm_turn.c ---- */

struct jobq_bytes storm_text(struct blower *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- storm_work.c: the exchange of a worker ---- */

void storm_work(struct blower *b);
void storm_add_want(struct blower *b, struct jobq_exchange *x, size_t limit);
void storm_read_want(struct blower *b, const struct jobq_want *w);

/* ---- storm_held.c: what is held ---- */

void storm_drop(struct blower *b, int at);
/* The answer to a change that names a token of ours: true it is made, false somebody took the job from us. */
bool storm_still_ours(struct blower *b, const struct jobq_change *c, long number);
struct jobq_change storm_by_token(const struct held *h, int outcome, int state);
void storm_set_counters(struct jobq_change *c, const struct held *h);
void storm_set_trim(struct jobq_exchange *x, size_t count);
/* Some of what it holds, `from` to `from + count`. */
void storm_add_acks(struct blower *b, struct jobq_exchange *x, int from, int count, bool mixed);
void storm_read_acks(struct blower *b, const struct jobq_exchange *x, int from);
void storm_count_end(struct storm *storm, const struct jobq_change *c, struct entry *e);
void storm_beat(struct blower *b);

/* ---- storm_job.c: one job ---- */

void storm_edit(struct blower *b);
void storm_tell(struct blower *b);
void storm_cancel(struct blower *b);
void storm_revive_or_remove(struct blower *b);

/* ---- storm_look.c ---- */

void storm_list(struct blower *b);
void storm_get(struct blower *b);
void storm_count(struct blower *b);

/* ---- storm_death.c ---- */

void storm_bound(struct blower *b, int64_t concurrency); /* of some group */
size_t storm_sweep(struct blower *b);                    /* how many had no holder any more */
void storm_move_clock(struct blower *b, int64_t ms);
void storm_die(struct blower *b);

#endif
