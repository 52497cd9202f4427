/* SPDX-License-Identifier: MIT */
/* Memory of one answer: pieces are cut from blocks and freed together. */
#include <jobq/backend.h>

#include <stdlib.h>
#include <string.h>

/* A build for tests sets it to 0: each piece is a block of its own then, so that each can be made to fail and what is
 * written behind one is seen. */
#ifndef JOBQ_ARENA_BLOCK
#define JOBQ_ARENA_BLOCK 2048
#endif
#define LARGEST_BLOCK ((size_t)JOBQ_ARENA_BLOCK * 128)

struct block {
    struct block *next;
    size_t room, used;
    max_align_t start[];
};

struct jobq_arena {
    struct block *blocks; /* the one in use first */
    size_t next_room;
    struct block first; /* part of this memory */
};

/* An arena of a few small pieces, as most are, takes one piece of a size that the C library has at hand: 1,024 bytes. */
#define FIRST_ROOM (JOBQ_ARENA_BLOCK ? 1024 - sizeof(struct jobq_arena) : 0)

struct jobq_arena *jobq_arena_create(void)
{
    struct jobq_arena *arena = malloc(sizeof *arena + FIRST_ROOM);
    if (!arena)
        return NULL;
    arena->blocks = &arena->first;
    arena->next_room = JOBQ_ARENA_BLOCK;
    arena->first.next = NULL;
    arena->first.room = FIRST_ROOM;
    arena->first.used = 0;
    return arena;
}

void jobq_arena_destroy(struct jobq_arena *arena)
{
    if (!arena)
        return;
    for (struct block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        if (block != &arena->first)
            free(block);
    }
    free(arena);
}

static struct block *add_block(struct jobq_arena *arena, size_t least)
{
    size_t room = least > arena->next_room ? least : arena->next_room;
    if (room > SIZE_MAX - sizeof(struct block))
        return NULL;
    struct block *block = malloc(sizeof *block + room);
    if (!block)
        return NULL;
    *block = (struct block){ .room = room };
    if (arena->next_room != LARGEST_BLOCK)
        arena->next_room *= 2;
    if (least == room) {
        /* A large piece fills its block; the one in use may have room left. */
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return block;
}

void *jobq_arena_alloc(struct jobq_arena *arena, size_t bytes)
{
    const size_t unit = sizeof(max_align_t);
    if (bytes > SIZE_MAX - unit)
        return NULL;
    size_t need = bytes ? (bytes + unit - 1) / unit * unit : unit;
    struct block *block = arena->blocks;
    if (block->room - block->used < need)
        block = add_block(arena, need);
    if (!block)
        return NULL;
    void *piece = (char *)block->start + block->used;
    block->used += need;
    return piece;
}

void *jobq_arena_grow(struct jobq_arena *arena, void *items, size_t count, size_t *room, size_t bytes)
{
    if (count < *room)
        return items;
    size_t wanted = *room ? 2 * *room : 16;
    void *larger = wanted <= SIZE_MAX / bytes ? jobq_arena_alloc(arena, wanted * bytes) : NULL;
    if (!larger)
        return NULL;
    if (count)
        memcpy(larger, items, count * bytes);
    *room = wanted;
    return larger;
}

int jobq_arena_bytes(struct jobq_arena *arena, const void *data, size_t bytes, struct jobq_bytes *out)
{
    *out = (struct jobq_bytes){ 0 };
    if (!data)
        return 0;
    void *copy = jobq_arena_alloc(arena, bytes);
    if (!copy)
        return -1;
    if (bytes)
        memcpy(copy, data, bytes);
    *out = (struct jobq_bytes){ .data = copy, .size = bytes };
    return 0;
}

const char *jobq_arena_text(struct jobq_arena *arena, const void *data, size_t bytes)
{
    char *copy = bytes < SIZE_MAX ? jobq_arena_alloc(arena, bytes + 1) : NULL;
    if (!copy)
        return NULL;
    if (bytes)
        memcpy(copy, data, bytes);
    copy[bytes] = 0;
    return copy;
}
