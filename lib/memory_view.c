/* SPDX-License-Identifier: MIT */
/* Copies of rows for an answer: what is stored may change as soon as the lock is free. */
#include "memory.h"

#include <string.h>

static int copy(struct jobq_arena *arena, struct jobq_bytes *bytes)
{
    return bytes->data ? jobq_arena_bytes(arena, bytes->data, bytes->size, bytes) : 0;
}

/* One copy of what is stored once. */
static int copy_name(struct jobq_arena *arena, struct jobq_bytes *name, struct jobq_bytes last, struct jobq_bytes copied)
{
    if (name->data != last.data)
        return copy(arena, name);
    *name = copied;
    return 0;
}

static int copy_names(struct jobq_arena *arena, struct jobq_row *r, const struct mem_row *last)
{
    if (!last)
        return copy(arena, &r->queue) != 0 || copy(arena, &r->group) != 0 ? -1 : copy(arena, &r->worker);
    const struct jobq_row *stored = &last->c.row, *copied = r - 1;
    return copy_name(arena, &r->queue, stored->queue, copied->queue) != 0 ||
                   copy_name(arena, &r->group, stored->group, copied->group) != 0
               ? -1
               : copy_name(arena, &r->worker, stored->worker, copied->worker);
}

static int copy_small(struct jobq_arena *arena, struct jobq_row *r)
{
    if (copy(arena, &r->kind) != 0 || copy(arena, &r->policy) != 0 || copy(arena, &r->key) != 0)
        return -1;
    return copy(arena, &r->progress) != 0 || copy(arena, &r->trace) != 0 ? -1 : 0;
}

static int copy_entries(struct jobq_arena *arena, const struct jobq_row_error **list, size_t count)
{
    struct jobq_row_error *entries = jobq_arena_alloc(arena, count * sizeof *entries);
    if (!entries)
        return -1;
    for (size_t i = 0; i < count; i++) {
        entries[i] = (*list)[i];
        if (copy(arena, &entries[i].worker) != 0 || copy(arena, &entries[i].text) != 0)
            return -1;
    }
    *list = entries;
    return 0;
}

static int add_parents(const struct mem *m, struct jobq_arena *arena, struct jobq_row *r)
{
    size_t count = mem_edges_parents(m, &r->id, NULL, 0);
    struct jobq_edge *parents = jobq_arena_alloc(arena, count * sizeof *parents);
    if (!parents)
        return -1;
    mem_edges_parents(m, &r->id, parents, count);
    r->parents = parents;
    r->parent_count = count;
    return 0;
}

int mem_view_next(const struct mem *m, struct jobq_arena *arena, const struct mem_row *row, const struct mem_row *last,
                  uint32_t flags, struct jobq_row *out)
{
    *out = row->c.row;
    if (!(flags & JOBQ_READ_PAYLOAD))
        out->payload = out->data = (struct jobq_bytes){ 0 };
    if (!(flags & JOBQ_READ_RESULT))
        out->result = (struct jobq_bytes){ 0 };
    if (!(flags & JOBQ_READ_ERRORS)) {
        out->errors = NULL;
        out->error_count = 0;
    }
    if (!(flags & JOBQ_READ_LOG)) {
        out->log = NULL;
        out->log_count = 0;
    }
    if (copy_names(arena, out, last) != 0 || copy_small(arena, out) != 0 || copy(arena, &out->payload) != 0 || copy(arena, &out->data) != 0 ||
        copy(arena, &out->result) != 0)
        return -1;
    if ((out->error_count && copy_entries(arena, &out->errors, out->error_count) != 0) ||
        (out->log_count && copy_entries(arena, &out->log, out->log_count) != 0))
        return -1;
    return flags & JOBQ_READ_PARENTS ? add_parents(m, arena, out) : 0;
}

int mem_view(const struct mem *m, struct jobq_arena *arena, const struct mem_row *row, uint32_t flags,
             struct jobq_row *out)
{
    return mem_view_next(m, arena, row, NULL, flags, out);
}

const struct jobq_row *mem_view_one(const struct mem *m, struct jobq_arena *arena, const struct mem_row *row)
{
    struct jobq_row *out = jobq_arena_alloc(arena, sizeof *out);
    return out && mem_view(m, arena, row, 0, out) == 0 ? out : NULL;
}
