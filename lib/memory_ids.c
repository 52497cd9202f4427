/* SPDX-License-Identifier: MIT */
/* Rows by their ids, in a table with a place for each mark of an id; who finds it taken stands in one of the
 * next places. Marks stand beside the rows, so that no other row is looked at. */
#include "memory.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 16

static uint64_t mix(uint64_t x)
{
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 32;
}

/* Ids of version 7 begin with time and sequence: those of eight jobs that were put one after the other get
 * sixteen places side by side, every second of them, because they are claimed and end one after the other
 * too. Of others nothing is known. */
static uint64_t mark_of(const struct jobq_id *id)
{
    uint64_t half[2];
    memcpy(half, id->bytes, sizeof half);
    uint64_t rising = be64toh(half[0]);
    if ((id->bytes[6] & 0xf0) == 0x70 && (id->bytes[8] & 0xc0) == 0x80)
        return mix(rising >> 3) << 4 | (rising & 7) << 1;
    return mix(mix(half[0]) ^ half[1]);
}

static void take_place(struct mem_ids *ids, struct mem_place place)
{
    size_t at = place.mark & (ids->room - 1);
    while (ids->places[at].row)
        at = (at + 1) & (ids->room - 1);
    ids->places[at] = place;
}

int mem_ids_reserve(struct mem_ids *ids)
{
    struct mem_ids more = {.room = ids->room ? 2 * ids->room : FIRST_ROOM, .count = ids->count};
    if (ids->count < ids->room / 2)
        return 0;
    more.places = calloc(more.room, sizeof *more.places);
    if (!more.places)
        return -1;
    for (size_t i = 0; i < ids->room; i++)
        if (ids->places[i].row)
            take_place(&more, ids->places[i]);
    free(ids->places);
    *ids = more;
    return 0;
}

void mem_ids_add(struct mem_ids *ids, struct mem_row *row)
{
    take_place(ids, (struct mem_place){.mark = mark_of(&row->c.row.id), .row = row});
    ids->count++;
}

/* Those behind it that could stand here move up: nobody is looked for beyond a free place. */
void mem_ids_remove(struct mem_ids *ids, const struct mem_row *row)
{
    const size_t last = ids->room - 1;
    size_t hole = mark_of(&row->c.row.id) & last;
    while (ids->places[hole].row != row)
        hole = (hole + 1) & last;
    for (size_t at = (hole + 1) & last; ids->places[at].row; at = (at + 1) & last) {
        size_t home = ids->places[at].mark & last;
        if (((at - home) & last) < ((at - hole) & last))
            continue;
        ids->places[hole] = ids->places[at];
        hole = at;
    }
    ids->places[hole].row = NULL;
    ids->count--;
}

struct mem_row *mem_find(const struct mem *m, const struct jobq_id *id)
{
    const struct mem_ids *ids = &m->ids;
    if (!ids->count || mem_is_newest(m, id))
        return NULL;
    uint64_t mark = mark_of(id);
    for (size_t at = mark & (ids->room - 1); ids->places[at].row; at = (at + 1) & (ids->room - 1)) {
        struct mem_row *row = ids->places[at].row;
        if (ids->places[at].mark == mark && memcmp(&row->c.row.id, id, sizeof *id) == 0)
            return row;
    }
    return NULL;
}

void mem_ids_free(struct mem_ids *ids)
{
    free(ids->places);
}
