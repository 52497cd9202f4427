/* SPDX-License-Identifier: MIT */
/* All or nothing: notes of what was, new memory and memory given up, until the unit is kept or taken back. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum undo_kind { UNDO_ADD, UNDO_EDIT, UNDO_DROP };

struct mem_undo {
    struct mem_undo *next;
    struct mem_object *object;
    enum undo_kind kind;
    max_align_t cells[];
};

/* In front of everything that mem_alloc gives. */
struct mem_piece {
    struct mem_piece *fresh, *dropped;
    size_t users, leaving; /* who holds it; of these, how many give it up in this unit */
    max_align_t start[];
};

static struct mem_piece *piece_of(const void *memory)
{
    return (struct mem_piece *)(void *)((char *)(uintptr_t)memory - offsetof(struct mem_piece, start));
}

void *mem_room(struct mem_unit *u, size_t bytes)
{
    if (bytes > SIZE_MAX - sizeof(struct mem_piece))
        return NULL;
    struct mem_piece *piece = malloc(sizeof *piece + bytes);
    if (!piece)
        return NULL;
    *piece = (struct mem_piece){.fresh = u->fresh, .users = 1};
    u->fresh = piece;
    return piece->start;
}

void *mem_alloc(struct mem_unit *u, size_t bytes)
{
    void *memory = mem_room(u, bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void mem_share(const void *memory)
{
    piece_of(memory)->users++;
}

void mem_free(struct mem_unit *u, const void *memory)
{
    if (!memory)
        return;
    struct mem_piece *piece = piece_of(memory);
    if (piece->leaving++)
        return;
    piece->dropped = u->dropped;
    u->dropped = piece;
}

void mem_free_now(const void *memory)
{
    if (memory)
        free(piece_of(memory));
}

static void place(struct mem *m, struct mem_object *object)
{
    if (!object->linked && object->type->link)
        object->type->link(m, object);
    object->linked = true;
}

static void unplace(struct mem *m, struct mem_object *object)
{
    if (object->linked && object->type->unlink)
        object->type->unlink(m, object);
    object->linked = false;
}

static void enter_trees(struct mem *m, struct mem_object *object)
{
    if (!object->entered && object->type->enter)
        object->type->enter(m, object);
    object->entered = true;
    place(m, object);
}

static void leave_trees(struct mem *m, struct mem_object *object)
{
    unplace(m, object);
    if (object->entered && object->type->leave)
        object->type->leave(m, object);
    object->entered = false;
}

static void forget_notes(struct mem_unit *u)
{
    jobq_arena_destroy(u->notes);
    u->notes = NULL;
    u->undo = NULL;
    u->fresh = u->dropped = NULL;
    u->m->units++;
    mem_figures_forget(u);
    mem_events_forget(u);
    for (struct mem_queue *q = mem_queue_after(u->m, NULL); q; q = mem_queue_after(u->m, q))
        q->ended_now = 0;
}

void mem_unit_commit(struct mem_unit *u)
{
    mem_figures_keep(u);
    mem_events_keep(u);
    for (struct mem_piece *piece = u->dropped, *next; piece; piece = next) {
        next = piece->dropped;
        piece->users -= piece->leaving;
        piece->leaving = 0;
        if (!piece->users)
            free(piece);
    }
    forget_notes(u);
}

static void take_back(struct mem *m, struct mem_undo *note)
{
    struct mem_object *object = note->object;
    const struct mem_type *type = object->type;
    if (note->kind == UNDO_ADD)
        leave_trees(m, object);
    else
        unplace(m, object);
    if (note->kind == UNDO_EDIT)
        memcpy((char *)object + type->cells, note->cells, type->cells_bytes);
    if (note->kind != UNDO_ADD)
        enter_trees(m, object);
}

void mem_unit_rollback(struct mem_unit *u)
{
    for (struct mem_undo *note = u->undo; note; note = note->next)
        take_back(u->m, note);
    for (struct mem_piece *piece = u->dropped; piece; piece = piece->dropped)
        piece->leaving = 0;
    for (struct mem_piece *piece = u->fresh, *next; piece; piece = next) {
        next = piece->fresh;
        free(piece);
    }
    u->wake = false;
    forget_notes(u);
}

/* What an object was before the unit is noted once, however often it is edited. */
static bool is_noted(const struct mem_unit *u, const struct mem_object *object)
{
    return object->noted == u->m->units + 1;
}

static int note_down(struct mem_unit *u, struct mem_object *object, enum undo_kind kind)
{
    if (kind == UNDO_EDIT && is_noted(u, object))
        return 0;
    size_t bytes = kind == UNDO_EDIT ? object->type->cells_bytes : 0;
    struct mem_undo *note;
    if (!u->notes && !(u->notes = jobq_arena_create()))
        return -1;
    if (!(note = jobq_arena_alloc(u->notes, sizeof *note + bytes)))
        return -1;
    *note = (struct mem_undo){.next = u->undo, .object = object, .kind = kind};
    if (bytes)
        memcpy(note->cells, (char *)object + object->type->cells, bytes);
    u->undo = note;
    object->noted = u->m->units + 1;
    return 0;
}

int mem_add(struct mem_unit *u, void *object)
{
    if (note_down(u, object, UNDO_ADD) != 0)
        return -1;
    enter_trees(u->m, object);
    return 0;
}

int mem_edit(struct mem_unit *u, void *object)
{
    if (note_down(u, object, UNDO_EDIT) != 0)
        return -1;
    unplace(u->m, object);
    return 0;
}

void mem_done(struct mem_unit *u, void *object)
{
    place(u->m, object);
}

int mem_drop(struct mem_unit *u, void *object)
{
    if (note_down(u, object, UNDO_DROP) != 0)
        return -1;
    leave_trees(u->m, object);
    mem_free(u, object);
    return 0;
}

int mem_copy_bytes(struct mem_unit *u, struct jobq_bytes from, struct jobq_bytes *to)
{
    *to = (struct jobq_bytes){0};
    if (!from.data)
        return 0;
    void *copy = mem_room(u, from.size);
    if (!copy)
        return -1;
    if (from.size)
        memcpy(copy, from.data, from.size);
    *to = (struct jobq_bytes){.data = copy, .size = from.size};
    return 0;
}

int mem_set_bytes(struct mem_unit *u, struct jobq_bytes *cell, struct jobq_bytes value)
{
    struct jobq_bytes copy;
    if (mem_copy_bytes(u, value, &copy) != 0)
        return -1;
    mem_free(u, cell->data);
    *cell = copy;
    return 0;
}
