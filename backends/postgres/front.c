/* SPDX-License-Identifier: MIT */
/* What a handle remembers of the fronts of indexes: functions/front.sql says what for and why it is right.
 *
 * Each is used for a while only, the longer the more a look without it costs: entries met tell that, not
 * time, so that a slow machine does nothing else than a fast one. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define MANY           2000    /* entries met on the way: a look that costs */
#define ENTRY_US       20      /* looks may take a twentieth of the time or so */
#define WHOLE_LEAST_US 1000000 /* between two looks from the very front of a queue */
#define WHOLE_MOST_US  60000000
#define CLOCK_MOST_US  5000000  /* as long as the next clock may be taken as it was */
#define ENDED_US       30000000 /* between two looks from the front of the ended rows */

void pq_front_forget(struct front *f)
{
    free(f->of);
    *f = (struct front){0};
}

static int64_t rest_of(int64_t met, int64_t least, int64_t most)
{
    int64_t us = met < most / ENTRY_US ? met * ENTRY_US : most;
    return us > least ? us : least;
}

/* ---- the next clock ------------------------------------------------------------------------------------ */

/* Could this exchange itself make a clock that is earlier than any that is remembered? Those of the rows that
 * its want takes are looked at when they come. */
static bool keeps_clocks(const struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->beat_count; i++)
        if (x->beats[i].flags & JOBQ_BEAT_RELEASE)
            return false;
    for (size_t i = 0; i < x->change_count; i++)
        if (x->changes[i].outcome != JOBQ_OUTCOME_COMPLETE)
            return false;
    for (size_t i = 0; i < x->put_count; i++)
        if (x->puts[i].expires_at.base != JOBQ_TIME_KEEP)
            return false;
    return true;
}

static int64_t known_clock(const struct front *f, const struct jobq_exchange *x)
{
    return pq_now_us() < f->clock_until_us && keeps_clocks(x) ? f->clock_ms : 0;
}

void pq_front_note_clock(struct front *f, int64_t clock, int64_t met)
{
    if (met <= MANY)
        return;
    f->clock_ms = clock;
    f->clock_until_us = pq_now_us() + rest_of(met, 0, CLOCK_MOST_US);
}

void pq_front_pack_clock(const struct front *f, const struct jobq_exchange *x, struct params *p)
{
    pack_int8(p, known_clock(f, x));
}

/* ---- ended rows ---------------------------------------------------------------------------------------- */

void pq_front_pack_unit(const struct front *f, const struct jobq_exchange *x, struct params *p)
{
    bool ended = f->ended_count && pq_now_us() < f->ended_until_us;
    pack_begin(p, ELEMENT_INT8);
    pack_add_int8(p, known_clock(f, x));
    for (size_t i = 0; ended && i < f->ended_count; i++)
        pack_add_int8(p, f->ended[i]);
    pack_end(p);
}

static int64_t next_int(struct elements *e)
{
    struct cell cell;
    return elements_next(e, &cell) ? cell_int(cell) : 0;
}

void pq_front_note_unit(struct front *f, struct cell from)
{
    struct elements e = cell_elements(from);
    int64_t clock = next_int(&e);
    pq_front_note_clock(f, clock, next_int(&e));
    if (e.left < 1)
        return;
    if (pq_now_us() >= f->ended_until_us)
        f->ended_until_us = pq_now_us() + ENDED_US;
    f->ended_count = 0;
    while (e.left > 0 && f->ended_count < sizeof f->ended / sizeof *f->ended)
        f->ended[f->ended_count++] = next_int(&e);
}

/* ---- queues
 * ------------------------------------------------------------------------------------------------------------
 */

/* The bytes that name what is wanted: the two parameters that were packed last. */
static struct jobq_bytes wanted(const struct params *p)
{
    size_t from = p->start[p->count - 2];
    return (struct jobq_bytes){.data = p->data + from, .size = p->size - from};
}

static bool is_same(const struct front *f, struct jobq_bytes of)
{
    return f->of && f->of_size == of.size && memcmp(f->of, of.data, of.size) == 0;
}

/* What is remembered of other queues or kinds is of no use. */
static void begin_anew(struct front *f, const struct jobq_want *w, struct jobq_bytes of)
{
    char *copy = w->queue_count <= FRONT_QUEUES ? malloc(of.size) : NULL;
    free(f->of);
    f->of = copy;
    f->of_size = of.size;
    f->count = 0;
    f->left = 0;
    if (copy)
        memcpy(copy, of.data, of.size);
}

void pq_front_choose(struct front *f, const struct jobq_exchange *x, const struct params *p)
{
    f->whole = true;
    if (p->broken || x->want->mode != JOBQ_WANT_DUE || !x->want->queue_count)
        return;
    struct jobq_bytes of = wanted(p);
    if (!is_same(f, of))
        begin_anew(f, x->want, of);
    f->whole = !f->of || f->count != x->want->queue_count || pq_now_us() >= f->whole_us;
}

void pq_front_pack_want(const struct front *f, const struct jobq_exchange *x, struct params *p)
{
    pack_begin(p, ELEMENT_INT8);
    pack_add_int8(p, known_clock(f, x));
    if (!f->whole) {
        pack_add_int8(p, f->jump);
        pack_add_int8(p, !f->costly);
        for (size_t i = 0; i < f->count; i++)
            pack_add_int8(p, f->places[i]);
    }
    pack_end(p);
}

static void note_places(struct front *f, const struct jobq_want *w, struct elements *e)
{
    f->jump = next_int(e);
    int64_t met = next_int(e) - (int64_t)w->row_count;
    if (f->whole) {
        f->costly = met > MANY;
        f->whole_us = pq_now_us() + rest_of(met, WHOLE_LEAST_US, WHOLE_MOST_US);
    }
    for (f->count = 0; e->left > 0 && f->count < FRONT_QUEUES;)
        f->places[f->count++] = next_int(e);
}

void pq_front_note_want(struct front *f, struct cell from, struct jobq_exchange *x)
{
    const struct jobq_want *w = x->want;
    struct elements e = cell_elements(from);
    int64_t clock = next_int(&e);
    pq_front_note_clock(f, clock, next_int(&e));
    for (size_t i = 0; i < w->row_count; i++)
        if (w->rows[i].lease_until_ms > x->now_ms && w->rows[i].lease_until_ms < x->next_due_ms)
            x->next_due_ms = w->rows[i].lease_until_ms;
    if (w->mode != JOBQ_WANT_DUE || !f->of || e.left < 2)
        return;
    note_places(f, w, &e);
    /* Nothing, and not from the very front: that is looked at as soon as it may be. */
    int64_t again = x->now_ms + (f->whole_us - pq_now_us()) / 1000 + 1;
    if (!w->row_count && !f->whole && f->costly && again < x->next_due_ms)
        x->next_due_ms = again;
}
