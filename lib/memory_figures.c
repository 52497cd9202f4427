/* SPDX-License-Identifier: MIT */
/* What the jobs of a queue took. Counted when the unit is kept: until then it is a list, so that a unit which is taken
 * back has counted nothing. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define SLOT_MS 10000

struct mem_figure {
    struct mem_queue *queue;
    int64_t ms;
    enum mem_figure_what what;
    uint64_t times;
};

static bool is_again(const struct mem_figure *last, const struct mem_queue *queue, enum mem_figure_what what, int64_t ms)
{
    return last->queue == queue && last->what == what && last->ms == ms;
}

int mem_figure(struct mem_unit *u, struct mem_queue *queue, enum mem_figure_what what, int64_t ms)
{
    ms = ms < 0 ? 0 : ms;
    if (u->figure_count && is_again(&u->figures[u->figure_count - 1], queue, what, ms)) {
        u->figures[u->figure_count - 1].times++;
        return 0;
    }
    if (u->figure_count == u->figure_room) {
        size_t room = u->figure_room ? 2 * u->figure_room : 16;
        struct mem_figure *figures = realloc(u->figures, room * sizeof *figures);
        if (!figures)
            return -1;
        u->figures = figures;
        u->figure_room = room;
    }
    u->figures[u->figure_count++] = (struct mem_figure){ queue, ms, what, 1 };
    return 0;
}

void mem_figures_forget(struct mem_unit *u)
{
    free(u->figures);
    u->figures = NULL;
    u->figure_count = u->figure_room = 0;
}

static int64_t total_of(int64_t ms, uint64_t times)
{
    int64_t total;
    return __builtin_mul_overflow(ms, times, &total) ? INT64_MAX : total;
}

static void count_duration(struct jobq_durations *d, const struct mem_figure *figure)
{
    d->count += figure->times;
    d->total_ms = jobq_add_ms(d->total_ms, total_of(figure->ms, figure->times));
    d->buckets[jobq_duration_bucket(figure->ms)] += figure->times;
}

static void count_end(struct mem_figures *f, int64_t now, const struct mem_figure *figure)
{
    int64_t number = now / SLOT_MS;
    struct mem_slot *slot = &f->slots[number % MEM_SLOTS];
    if (slot->number != number)
        *slot = (struct mem_slot){ .number = number };
    *(figure->what == MEM_FAILED ? &slot->failed : &slot->completed) += figure->times;
    f->last_ms = now;
}

void mem_figures_keep(struct mem_unit *u)
{
    for (size_t i = 0; i < u->figure_count; i++) {
        const struct mem_figure *figure = &u->figures[i];
        struct mem_figures *f = &figure->queue->figures;
        count_duration(figure->what == MEM_WAITED ? &f->waited : &f->ran, figure);
        if (figure->what != MEM_WAITED)
            count_end(f, u->now, figure);
    }
}

/* The slots that are at most `back` before the present one. */
static struct jobq_recent recent(const struct mem_figures *f, int64_t now, int64_t back)
{
    int64_t number = now / SLOT_MS;
    struct jobq_recent out = { .window_ms = now - (number - back) * SLOT_MS };
    for (int i = 0; i < MEM_SLOTS; i++) {
        const struct mem_slot *slot = &f->slots[i];
        if (slot->number < number - back || slot->number > number)
            continue;
        out.completed += slot->completed;
        out.failed += slot->failed;
    }
    return out;
}

void mem_figures_view(const struct mem_queue *queue, int64_t now, struct jobq_queue_stats *out)
{
    const struct mem_figures *f = &queue->figures;
    out->waited = f->waited;
    out->ran = f->ran;
    out->last_minute = recent(f, now, 6);
    out->last_quarter = recent(f, now, 90);
    out->last_finished_at_ms = f->last_ms;
}
