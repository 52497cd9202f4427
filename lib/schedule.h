/* SPDX-License-Identifier: MIT */
/* Schedules in the core: definitions as bytes, what is due of one, firing it. */
#ifndef JOBQ_SCHEDULE_H
#define JOBQ_SCHEDULE_H

#include "cron.h"
#include "internal.h"

#define EVERY_MIN_MS 1000
#define LATE_DEFAULT_MS 60000
#define TICKS_AT_ONCE 100
#define TICK_RETRY_MS 10000  /* a job that could not be put, a queue that is full */
#define TICK_STRANGE_MS 60000 /* a definition that this process cannot read, a zone that it does not have */

/* ---- schedule_bytes.c: a definition as the store keeps it ------------------------------------------------------- */

/* A definition with the memory that its pointers need. */
struct definition {
    struct jobq_schedule schedule;
    struct jobq_spec spec;
    struct jobq_backoff backoff;
    int64_t list_ms[32];
    bool anchor_given; /* else anchor_ms is when it was added */
};

/* Write it into the arena. The spec is checked. -1 without memory. */
int definition_write(struct jobq_arena *arena, const struct definition *d, struct jobq_bytes *out);
/* Read it; texts are copied into the arena, the payload and the key are lent by the bytes. JOBQ_OK, JOBQ_NOMEM, or
 * JOBQ_UNSUPPORTED: written by something newer, or damaged. */
int definition_read(struct jobq_arena *arena, const struct jobq_schedule_row *row, struct definition *out);

/* ---- tick.c: what is due, and putting it ---------------------------------------------------------------------------- */

/* The times and the zone; free with zone_free(out->zone). */
int timing_of(const struct jobq_schedule *schedule, struct timing *out);

struct tick_plan {
    int64_t at_ms[TICKS_AT_ONCE]; /* nominal times to be put, ascending */
    size_t count;
    int64_t settled_ms; /* up to here everything is dealt with then; INT64_MIN: nothing is due */
    int64_t next_ms;    /* the first nominal time after that; INT64_MAX: none */
};
/* Pure. What is later than `late_ms` is missed, and the policy decides about it. */
void tick_plan(const struct timing *timing, int missed, int64_t late_ms, int64_t fired_ms, int64_t now_ms,
               struct tick_plan *out);

/* What an overdue want gave. */
struct ticks {
    const struct jobq_schedule_row *rows;
    size_t count;
    int64_t now_ms;       /* the clock of schedules */
    int64_t store_now_ms; /* the store's clock, of the same moment */
    /* answer */
    size_t fired;         /* jobs put */
    int64_t wait_ms;      /* until the next tick of any schedule; INT64_MAX: none */
};
/* Put what is due of each. A tick that somebody else settled is none of our concern. JOBQ_OK, or the failure at which it
 * stopped; the rest is given again. */
int ticks_fire(struct jobq *q, struct ticks *ticks);

#endif
