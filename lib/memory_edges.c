/* SPDX-License-Identifier: MIT */
/* Who waits for whom. */
#include "memory.h"

#include <string.h>

static int order_ids(const struct jobq_id *a, const struct jobq_id *b)
{
    return memcmp(a, b, sizeof *a);
}

static int order_by_parent(const struct mem_node *a, const struct mem_node *b)
{
    const struct mem_edge *x = mem_of(a, struct mem_edge, by_parent), *y = mem_of(b, struct mem_edge, by_parent);
    int order = order_ids(&x->parent, &y->parent);
    if (!order)
        order = y->c.open - x->c.open;
    if (!order)
        order = (y->rule == JOBQ_PARENT_IGNORE) - (x->rule == JOBQ_PARENT_IGNORE);
    return order ? order : order_ids(&x->child, &y->child);
}

static int order_by_child(const struct mem_node *a, const struct mem_node *b)
{
    const struct mem_edge *x = mem_of(a, struct mem_edge, by_child), *y = mem_of(b, struct mem_edge, by_child);
    int order = order_ids(&x->child, &y->child);
    return order ? order : order_ids(&x->parent, &y->parent);
}

static void link_edge(struct mem *m, void *object)
{
    struct mem_edge *edge = object;
    mem_tree_add(&m->by_parent, &edge->by_parent);
    mem_tree_add(&m->by_child, &edge->by_child);
}

static void unlink_edge(struct mem *m, void *object)
{
    struct mem_edge *edge = object;
    mem_tree_remove(&m->by_parent, &edge->by_parent);
    mem_tree_remove(&m->by_child, &edge->by_child);
}

static const struct mem_type edge_type = {
    .link = link_edge,
    .unlink = unlink_edge,
    .cells = offsetof(struct mem_edge, c),
    .cells_bytes = sizeof(struct mem_edge_cells),
};

static struct mem_edge *first_of_child(const struct mem *m, const struct jobq_id *child)
{
    if (!m->by_child.root)
        return NULL;
    struct mem_edge probe = { .child = *child };
    struct mem_edge *edge = mem_of(mem_tree_from(&m->by_child, &probe.by_child), struct mem_edge, by_child);
    return edge && order_ids(&edge->child, child) == 0 ? edge : NULL;
}

static struct mem_edge *next_of_child(const struct mem *m, const struct mem_edge *edge)
{
    struct mem_edge *next = mem_of(mem_tree_after(&m->by_child, &edge->by_child), struct mem_edge, by_child);
    return next && order_ids(&next->child, &edge->child) == 0 ? next : NULL;
}

/* The parent's first open edge; those with rule IGNORE come first. */
static struct mem_edge *first_open(const struct mem *m, const struct jobq_id *parent)
{
    if (!m->by_parent.root)
        return NULL;
    struct mem_edge probe = { .parent = *parent, .rule = JOBQ_PARENT_IGNORE, .c.open = true };
    struct mem_edge *edge = mem_of(mem_tree_from(&m->by_parent, &probe.by_parent), struct mem_edge, by_parent);
    return edge && edge->c.open && order_ids(&edge->parent, parent) == 0 ? edge : NULL;
}

static struct mem_edge *next_open(const struct mem *m, const struct mem_edge *edge)
{
    struct mem_edge *next = mem_of(mem_tree_after(&m->by_parent, &edge->by_parent), struct mem_edge, by_parent);
    return next && next->c.open && order_ids(&next->parent, &edge->parent) == 0 ? next : NULL;
}

/* Does a parent in this state let a child of this rule go? */
static bool lets_go(int state, int rule)
{
    if (state == JOBQ_ROW_COMPLETED || state == JOBQ_ROW_GONE)
        return true;
    return rule == JOBQ_PARENT_IGNORE && (state == JOBQ_ROW_DEAD || state == JOBQ_ROW_CANCELLED);
}

static int parent_state(const struct mem *m, const struct jobq_id *id)
{
    const struct mem_row *row = mem_find(m, id);
    return row ? row->c.row.state : JOBQ_ROW_GONE;
}

static int count_open(struct mem_unit *u, const struct jobq_id *parent, bool more)
{
    struct mem_row *row = mem_find(u->m, parent);
    if (!row)
        return 0;
    if (mem_edit(u, row) != 0)
        return -1;
    row->c.open_children += more ? 1u : UINT32_MAX;
    mem_done(u, row);
    return 0;
}

static int put_edge(struct mem_unit *u, const struct jobq_id *child, const struct jobq_parent *parent)
{
    struct mem_edge *edge = mem_alloc(u, sizeof *edge);
    if (!edge)
        return -1;
    *edge = (struct mem_edge){ .object.type = &edge_type, .parent = parent->id, .child = *child,
                               .rule = parent->rule, .c.open = true };
    if (mem_add(u, edge) != 0)
        return -1;
    return count_open(u, &parent->id, true);
}

static bool named_before(const struct jobq_parent *parents, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (order_ids(&parents[j].id, &parents[i].id) == 0)
            return true;
    return false;
}

int mem_edges_put(struct mem_unit *u, const struct jobq_id *child, const struct jobq_parent *parents, size_t count,
                  uint32_t *pending)
{
    for (size_t i = 0; i < count; i++) {
        if (named_before(parents, i) || lets_go(parent_state(u->m, &parents[i].id), parents[i].rule))
            continue;
        if (put_edge(u, child, &parents[i]) != 0)
            return -1;
        (*pending)++;
    }
    return 0;
}

static int set_open(struct mem_unit *u, struct mem_edge *edge, bool open)
{
    if (mem_edit(u, edge) != 0)
        return -1;
    edge->c.open = open;
    mem_done(u, edge);
    return count_open(u, &edge->parent, open);
}

int mem_edges_reopen(struct mem_unit *u, const struct mem_row *child, uint32_t *pending)
{
    struct mem_edge *next;
    for (struct mem_edge *edge = first_of_child(u->m, &child->c.row.id); edge; edge = next) {
        next = next_of_child(u->m, edge);
        int result = 0;
        if (edge->c.open)
            (*pending)++;
        else if (lets_go(parent_state(u->m, &edge->parent), edge->rule))
            result = mem_drop(u, edge);
        else if ((result = set_open(u, edge, true)) == 0)
            (*pending)++;
        if (result != 0)
            return -1;
    }
    return 0;
}

int mem_edges_close(struct mem_unit *u, const struct jobq_id *child, bool keep)
{
    struct mem_edge *next;
    for (struct mem_edge *edge = first_of_child(u->m, child); edge; edge = next) {
        next = next_of_child(u->m, edge);
        if (edge->c.open && set_open(u, edge, false) != 0)
            return -1;
        if (!keep && mem_drop(u, edge) != 0)
            return -1;
    }
    return 0;
}

/* One parent less for this child; without any it waits for its turn. */
static int let_go(struct mem_unit *u, const struct jobq_id *id)
{
    struct mem_row *child = mem_find(u->m, id);
    if (!child)
        return 0;
    if (mem_edit(u, child) != 0)
        return -1;
    struct jobq_row *r = &child->c.row;
    int before = r->state;
    r->pending -= r->pending > 0;
    if (r->pending == 0 && !r->held && r->state == JOBQ_ROW_BLOCKED) {
        r->run_at_ms = r->run_at_ms > u->now ? r->run_at_ms : u->now;
        mem_wait(u, child);
    }
    mem_done(u, child);
    return before != r->state ? mem_event(u, child, r->state) : 0;
}

int mem_edges_resolve(struct mem_unit *u, struct mem_row *parent, bool *more)
{
    struct mem_edge *edge;
    for (int i = 0; (edge = first_open(u->m, &parent->c.row.id)) != NULL; i++) {
        if (!lets_go(parent->c.row.state, edge->rule))
            break;
        if (i == EDGES_AT_ONCE) {
            *more = true;
            break;
        }
        struct jobq_id child = edge->child;
        if (set_open(u, edge, false) != 0 || mem_drop(u, edge) != 0 || let_go(u, &child) != 0)
            return -1;
    }
    return 0;
}

size_t mem_edges_undecided(const struct mem *m, const struct mem_row *parent, struct jobq_edge *out, size_t room)
{
    size_t count = 0;
    for (const struct mem_edge *edge = first_open(m, &parent->c.row.id); edge && count < room;
         edge = next_open(m, edge))
        if (!lets_go(parent->c.row.state, edge->rule))
            out[count++] = (struct jobq_edge){ .id = edge->child, .rule = edge->rule, .state = parent->c.row.state };
    return count;
}

size_t mem_edges_parents(const struct mem *m, const struct jobq_id *child, struct jobq_edge *out, size_t room)
{
    size_t count = 0;
    for (const struct mem_edge *edge = first_of_child(m, child); edge; edge = next_of_child(m, edge)) {
        if (count < room)
            out[count] = (struct jobq_edge){ .id = edge->parent, .rule = edge->rule,
                                             .state = parent_state(m, &edge->parent) };
        count++;
    }
    return count;
}

/* ---- as they are ------------------------------------------------------------------------------------------------ */

int mem_edges_dump(const struct mem *m, struct jobq_arena *arena, const struct jobq_id *child,
                   const struct jobq_item_edge **out, size_t *out_count)
{
    size_t count = mem_edges_parents(m, child, NULL, 0);
    struct jobq_item_edge *edges = jobq_arena_alloc(arena, count * sizeof *edges);
    if (!edges)
        return -1;
    *out = edges;
    *out_count = count;
    for (const struct mem_edge *edge = first_of_child(m, child); edge; edge = next_of_child(m, edge))
        *edges++ = (struct jobq_item_edge){ .parent = edge->parent, .rule = edge->rule, .open = edge->c.open };
    return 0;
}

uint32_t mem_edges_open(const struct mem *m, const struct jobq_id *parent)
{
    uint32_t count = 0;
    for (const struct mem_edge *edge = first_open(m, parent); edge; edge = next_open(m, edge))
        count++;
    return count;
}

int mem_edges_load(struct mem_unit *u, const struct jobq_id *child, const struct jobq_item_edge *edges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct mem_edge *edge = mem_alloc(u, sizeof *edge);
        if (!edge)
            return -1;
        *edge = (struct mem_edge){ .object.type = &edge_type, .parent = edges[i].parent, .child = *child,
                                   .rule = edges[i].rule, .c.open = edges[i].open != 0 };
        if (mem_add(u, edge) != 0 || (edge->c.open && count_open(u, &edge->parent, true) != 0))
            return -1;
    }
    return 0;
}

void mem_edges_init(struct mem *m)
{
    m->by_parent.order = order_by_parent;
    m->by_child.order = order_by_child;
}

void mem_edges_free(struct mem *m)
{
    struct mem_node *node;
    while ((node = mem_tree_first(&m->by_child)) != NULL) {
        mem_tree_remove(&m->by_child, node);
        mem_free_now(mem_of(node, struct mem_edge, by_child));
    }
}
