/* SPDX-License-Identifier: MIT */
/* Where the circles of the groups stand: a client's cursor to lua/turn.lua and back. */
#include "store.h"

#include <string.h>

#define PLACE_NONE ((struct jobq_bytes){ 0 })

void rd_turn_place(struct request *q, struct jobq_bytes cursor, struct jobq_bytes queue)
{
    struct jobq_turn turn;
    jobq_turn_begin(&turn, cursor, queue);
    rd_argument_begin(q);
    if (turn.group.data) {
        rd_u32(q, (uint64_t)turn.given);
        rd_u8(q, turn.since.data != NULL);
        rd_u8(q, (unsigned)turn.group.size);
        rd_raw(q, turn.group.data, turn.group.size);
        rd_u8(q, (unsigned)turn.since.size);
        rd_raw(q, turn.since.data, turn.since.size);
    }
    rd_argument_end(q);
}

/* The names point into the answer. -1: it is broken. */
static int read_turn(struct reader *r, const struct jobq_want *w, struct jobq_turn *turns)
{
    size_t number = rd_get_u16(r);
    if (r->broken || number >= w->queue_count)
        return -1;
    struct jobq_turn *turn = &turns[number];
    turn->queue = w->queues[number];
    turn->given = rd_get_u32(r);
    bool has_since = rd_get_u8(r);
    turn->group = rd_get_bytes(r, rd_get_u8(r));
    turn->since = rd_get_bytes(r, rd_get_u8(r));
    if (!has_since)
        turn->since = PLACE_NONE;
    return r->broken ? -1 : 0;
}

int rd_turns_take(struct reader *r, struct jobq_want *w, struct jobq_arena *arena)
{
    size_t count = rd_get_u16(r);
    if (r->broken || (!count && !w->cursor.size))
        return r->broken ? -1 : 0;
    struct jobq_turn *turns = jobq_arena_alloc(arena, w->queue_count * sizeof *turns);
    if (!turns)
        return -1;
    if (w->queue_count)
        memset(turns, 0, w->queue_count * sizeof *turns);
    for (size_t i = 0; i < count; i++)
        if (read_turn(r, w, turns) != 0)
            return -1;
    return jobq_turn_cursor(arena, w->cursor, turns, w->queue_count, &w->next_cursor);
}
