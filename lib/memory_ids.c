/* SPDX-License-Identifier: MIT */
/* Rows by their ids: chains of those whose ids have the same mark. To make the chains shorter is a matter of
 * speed, so that nothing fails where there is no memory for it. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BITS 4

static struct mem_row **chain_of(const struct mem_ids *ids, const struct jobq_id *id)
{
    uint64_t half[2];
    memcpy(half, id->bytes, sizeof half);
    uint64_t mark = (half[0] * UINT64_C(0x9e3779b97f4a7c15) ^ half[1]) * UINT64_C(0xd6e8feb86659fd93);
    return &ids->chains[mark >> (64 - ids->bits)];
}

int mem_ids_init(struct mem_ids *ids)
{
    *ids =
        (struct mem_ids){.chains = calloc((size_t)1 << FIRST_BITS, sizeof *ids->chains), .bits = FIRST_BITS};
    return ids->chains ? 0 : -1;
}

void mem_ids_free(struct mem_ids *ids)
{
    free(ids->chains);
}

static void hang(struct mem_ids *ids, struct mem_row *row)
{
    struct mem_row **chain = chain_of(ids, &row->c.row.id);
    row->chained = *chain;
    *chain = row;
}

static void grow(struct mem_ids *ids)
{
    struct mem_ids more = {.bits = ids->bits + 1, .count = ids->count};
    more.chains = calloc((size_t)1 << more.bits, sizeof *more.chains);
    if (!more.chains)
        return;
    for (size_t i = 0; i < (size_t)1 << ids->bits; i++)
        for (struct mem_row *row = ids->chains[i], *next; row; row = next) {
            next = row->chained;
            hang(&more, row);
        }
    free(ids->chains);
    *ids = more;
}

void mem_ids_add(struct mem_ids *ids, struct mem_row *row)
{
    hang(ids, row);
    if (++ids->count > (size_t)1 << ids->bits)
        grow(ids);
}

void mem_ids_remove(struct mem_ids *ids, struct mem_row *row)
{
    struct mem_row **at = chain_of(ids, &row->c.row.id);
    while (*at != row)
        at = &(*at)->chained;
    *at = row->chained;
    ids->count--;
}

struct mem_row *mem_find(const struct mem *m, const struct jobq_id *id)
{
    struct mem_row *row = *chain_of(&m->ids, id);
    while (row && memcmp(&row->c.row.id, id, sizeof *id) != 0)
        row = row->chained;
    return row;
}
