/* SPDX-License-Identifier: MIT */
/* What happened, in order: the newest so many changes of state. Gathered by the unit, numbered when it is kept. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

struct mem_event {
    struct mem_event *next;
    struct jobq_event_row row;
    char text[]; /* queue, kind, worker */
};

static struct jobq_bytes keep_text(char **at, struct jobq_bytes from)
{
    struct jobq_bytes kept = { from.data ? *at : NULL, from.size };
    if (from.size)
        memcpy(*at, from.data, from.size);
    *at += from.size;
    return kept;
}

static int add(struct mem_unit *u, const struct mem_row *row, int state, int reason)
{
    const struct jobq_row *r = &row->c.row;
    struct mem_event *event = malloc(sizeof *event + r->queue.size + r->kind.size + r->worker.size);
    if (!event)
        return -1;
    char *at = event->text;
    event->next = NULL;
    event->row = (struct jobq_event_row){
        .at_ms = u->now, .id = r->id, .queue = keep_text(&at, r->queue), .kind = keep_text(&at, r->kind),
        .state = state, .reason = reason, .attempt = r->attempt, .run_at_ms = r->run_at_ms,
    };
    if (state == JOBQ_ROW_RUNNING)
        event->row.worker = keep_text(&at, r->worker);
    if (u->last_event)
        u->last_event->next = event;
    else
        u->events = event;
    u->last_event = event;
    return 0;
}

int mem_event(struct mem_unit *u, const struct mem_row *row, int state)
{
    return u->m->events.keep ? add(u, row, state, row->c.row.reason) : 0;
}

int mem_event_trimmed(struct mem_unit *u, const struct mem_row *row)
{
    return u->m->events.keep ? add(u, row, JOBQ_ROW_GONE, JOBQ_REASON_RETENTION) : 0;
}

static void free_events(struct mem_event *event)
{
    for (struct mem_event *next; event; event = next) {
        next = event->next;
        free(event);
    }
}

void mem_events_forget(struct mem_unit *u)
{
    free_events(u->events);
    u->events = u->last_event = NULL;
}

static void drop_oldest(struct mem_events *e, int64_t keep)
{
    while (e->first && e->count > keep) {
        struct mem_event *gone = e->first;
        e->first = gone->next;
        e->count--;
        free(gone);
    }
    if (!e->first)
        e->last = NULL;
}

void mem_events_keep(struct mem_unit *u)
{
    struct mem_events *e = &u->m->events;
    if (!u->events)
        return;
    for (struct mem_event *event = u->events; event; event = event->next) {
        event->row.cursor = ++e->cursor;
        e->count++;
    }
    if (e->last)
        e->last->next = u->events;
    else
        e->first = u->events;
    e->last = u->last_event;
    u->events = u->last_event = NULL;
    drop_oldest(e, e->keep);
}

void mem_events_limit(struct mem *m, int64_t keep)
{
    m->events.keep = keep > 0 ? keep : 0;
    drop_oldest(&m->events, m->events.keep);
}

void mem_events_free(struct mem *m)
{
    free_events(m->events.first);
}

static int copy_out(struct jobq_arena *arena, const struct jobq_event_row *from, struct jobq_event_row *to)
{
    *to = *from;
    return jobq_arena_bytes(arena, from->queue.data, from->queue.size, &to->queue) != 0 ||
           jobq_arena_bytes(arena, from->kind.data, from->kind.size, &to->kind) != 0 ||
           jobq_arena_bytes(arena, from->worker.data, from->worker.size, &to->worker) != 0 ? -1 : 0;
}

int mem_read_events(const struct mem *m, struct jobq_event_query *query, struct jobq_arena *arena)
{
    const struct mem_events *e = &m->events;
    size_t most = query->limit < (uint64_t)e->count ? query->limit : (size_t)e->count;
    struct jobq_event_row *rows = jobq_arena_alloc(arena, (most ? most : 1) * sizeof *rows);
    if (!rows)
        return -1;
    query->rows = rows;
    query->row_count = 0;
    query->newest = e->cursor;
    query->oldest = e->first ? e->first->row.cursor : e->cursor + 1;
    for (const struct mem_event *event = e->first; event && query->row_count < most; event = event->next)
        if (event->row.cursor > query->after && copy_out(arena, &event->row, &rows[query->row_count++]) != 0)
            return -1;
    return 0;
}
