/* SPDX-License-Identifier: MIT */
/* Who waits for whom. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* Does a parent in this state let a child go? */
static bool lets_go(int state, bool hard)
{
    return state == JOBQ_ROW_COMPLETED || state == JOBQ_ROW_GONE || (!hard && sq_is_ended(state));
}

static bool is_hard(int rule)
{
    return rule != JOBQ_PARENT_IGNORE;
}

int sq_parent_state(struct jobq_store *s, const struct jobq_id *id, int *state)
{
    int64_t value = JOBQ_ROW_GONE;
    int found = sq_number(s, SQL_JOB_STATE, &value, VALUES(id_value(id)));
    *state = found > 0 ? (int)value : JOBQ_ROW_GONE;
    return found < 0 ? -1 : 0;
}

/* An ended row with children that wait for a decision is overdue since it ended: its alarm follows. */
static int count_children(struct turn *t, const struct jobq_id *parent, int difference)
{
    struct job job;
    int found = sq_job_find(t->s, parent, &job);
    if (found <= 0)
        return found;
    job.children += (uint32_t)difference;
    return sq_job_save(t, &job);
}

/* Only the first rule counts, also when it let go at once and left no edge. */
static bool named_before(const struct jobq_put *put, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (memcmp(&put->parents[j].id, &put->parents[i].id, sizeof put->parents[i].id) == 0)
            return true;
    return false;
}

int sq_edges_put(struct turn *t, const struct jobq_put *put, uint32_t *pending)
{
    for (size_t i = 0; i < put->parent_count; i++) {
        const struct jobq_parent *parent = &put->parents[i];
        int state;
        if (sq_parent_state(t->s, &parent->id, &state) != 0)
            return -1;
        if (lets_go(state, is_hard(parent->rule)) || named_before(put, i))
            continue;
        if (sq_run(t->s, SQL_EDGE_PUT, VALUES(id_value(&put->id), id_value(&parent->id), number(parent->rule),
                                              number(is_hard(parent->rule)))) != 0)
            return -1;
        if (count_children(t, &parent->id, 1) != 0)
            return -1;
        (*pending)++;
    }
    return 0;
}

/* ---- a child's edges ------------------------------------------------------------------------------------------ */

struct incoming {
    struct jobq_edge edge;
    bool open;
};

struct incoming_list {
    struct incoming *items;
    size_t count;
};

static int read_incoming(sqlite3_stmt *row, struct incoming *out)
{
    struct jobq_bytes parent = sq_column_bytes(row, 0);
    *out = (struct incoming){ .edge.rule = sqlite3_column_int(row, 1), .open = sqlite3_column_int(row, 2) != 0 };
    if (parent.size == sizeof out->edge.id)
        memcpy(&out->edge.id, parent.data, sizeof out->edge.id);
    bool gone = sqlite3_column_type(row, 3) == SQLITE_NULL;
    out->edge.state = gone ? JOBQ_ROW_GONE : sqlite3_column_int(row, 3);
    return 0;
}

/* By parent; free the items. */
static int list_incoming(struct jobq_store *s, const struct jobq_id *child, struct incoming_list *out)
{
    sqlite3_stmt *row = sq_start(s, SQL_EDGE_PARENTS, VALUES(id_value(child)));
    size_t room = 0;
    int more;
    *out = (struct incoming_list){ 0 };
    while ((more = sq_step(s, row)) > 0) {
        struct incoming *items = sq_grow(out->items, out->count, &room, sizeof *items);
        if (!items) {
            sqlite3_reset(row);
            return sq_fault_memory(s);
        }
        out->items = items;
        read_incoming(row, &items[out->count++]);
    }
    return more;
}

int sq_edges_close(struct turn *t, const struct job *child, bool keep)
{
    if (!(child->flags & FLAG_PARENTS))
        return 0;
    struct incoming_list list;
    int result = list_incoming(t->s, &child->row.id, &list);
    for (size_t i = 0; result == 0 && i < list.count; i++)
        if (list.items[i].open)
            result = count_children(t, &list.items[i].edge.id, -1);
    free(list.items);
    if (result != 0)
        return -1;
    return sq_run(t->s, keep ? SQL_EDGE_CLOSE : SQL_EDGE_DROP, VALUES(id_value(&child->row.id)));
}

static int reopen(struct turn *t, const struct jobq_id *child, const struct incoming *in, uint32_t *pending)
{
    struct value ids[] = { id_value(child), id_value(&in->edge.id) };
    if (!in->open && lets_go(in->edge.state, is_hard(in->edge.rule)))
        return sq_run(t->s, SQL_EDGE_DROP_ONE, ids, 2);
    (*pending)++;
    if (in->open)
        return 0;
    return sq_run(t->s, SQL_EDGE_OPEN, ids, 2) != 0 ? -1 : count_children(t, &in->edge.id, 1);
}

int sq_edges_reopen(struct turn *t, const struct jobq_id *child, uint32_t *pending)
{
    struct incoming_list list;
    int result = list_incoming(t->s, child, &list);
    for (size_t i = 0; result == 0 && i < list.count; i++)
        result = reopen(t, child, &list.items[i], pending);
    free(list.items);
    return result;
}

int sq_edges_parents(struct jobq_store *s, struct jobq_arena *arena, struct jobq_row *out)
{
    struct incoming_list list;
    int result = list_incoming(s, &out->id, &list);
    struct jobq_edge *edges = result == 0 ? jobq_arena_alloc(arena, list.count * sizeof *edges) : NULL;
    if (result == 0 && !edges)
        result = sq_fault_memory(s);
    for (size_t i = 0; result == 0 && i < list.count; i++)
        edges[i] = list.items[i].edge;
    free(list.items);
    out->parents = edges;
    out->parent_count = result == 0 ? list.count : 0;
    return result;
}

/* ---- a parent's edges -------------------------------------------------------------------------------------------- */

struct outgoing {
    struct jobq_id child;
    int32_t rule;
};

/* The first open ones, those that need no decision in front. */
static int list_open(struct turn *t, const struct jobq_id *parent, bool hard_only, struct outgoing *out, size_t *count)
{
    sqlite3_stmt *row = sq_start(t->s, SQL_EDGE_OPEN_LIST,
                                 VALUES(id_value(parent), number(hard_only), number(EDGES_AT_ONCE + 1)));
    int more;
    *count = 0;
    while ((more = sq_step(t->s, row)) > 0) {
        struct jobq_bytes child = sq_column_bytes(row, 0);
        struct outgoing *edge = &out[(*count)++];
        *edge = (struct outgoing){ .rule = sqlite3_column_int(row, 1) };
        if (child.size == sizeof edge->child)
            memcpy(&edge->child, child.data, sizeof edge->child);
    }
    return more;
}

/* One parent less for this child; without any it waits for its turn. */
static int let_go(struct turn *t, const struct jobq_id *id)
{
    struct job child;
    int found = sq_job_find(t->s, id, &child);
    if (found <= 0)
        return found;
    struct jobq_row *r = &child.row;
    int before = r->state;
    r->pending -= r->pending > 0;
    if (r->pending == 0 && !r->held && r->state == JOBQ_ROW_BLOCKED) {
        r->run_at_ms = r->run_at_ms > t->now ? r->run_at_ms : t->now;
        sq_job_wait(t, &child);
    }
    if (sq_job_save(t, &child) != 0)
        return -1;
    return before != r->state ? sq_event(t, r, child.queue, child.kind, r->state) : 0;
}

int sq_edges_resolve(struct turn *t, struct job *parent, bool *more)
{
    struct outgoing open[EDGES_AT_ONCE + 1];
    size_t count, done = 0;
    if (list_open(t, &parent->row.id, false, open, &count) != 0)
        return -1;
    for (; done < count && lets_go(parent->row.state, is_hard(open[done].rule)); done++) {
        if (done == EDGES_AT_ONCE) {
            *more = true;
            break;
        }
        struct value ids[] = { id_value(&open[done].child), id_value(&parent->row.id) };
        if (sq_run(t->s, SQL_EDGE_DROP_ONE, ids, 2) != 0 || let_go(t, &open[done].child) != 0)
            return -1;
    }
    parent->children -= (uint32_t)done;
    if (parent->children) /* the rest is the sweeper's */
        t->wake = true;
    return done ? sq_job_save(t, parent) : 0;
}

int sq_edges_undecided(struct turn *t, const struct job *parent, struct jobq_edge *out, size_t *count)
{
    struct outgoing open[EDGES_AT_ONCE + 1];
    *count = 0;
    if (parent->row.state == JOBQ_ROW_COMPLETED)
        return 0;
    if (list_open(t, &parent->row.id, true, open, count) != 0)
        return -1;
    if (*count > EDGES_AT_ONCE)
        *count = EDGES_AT_ONCE;
    for (size_t i = 0; i < *count; i++)
        out[i] = (struct jobq_edge){ .id = open[i].child, .rule = open[i].rule, .state = parent->row.state };
    return 0;
}
