/* SPDX-License-Identifier: MIT */
/* Where rows and queues are found: a row's trees follow from its value alone. */
#include "memory.h"

#include <endian.h>
#include <string.h>

#define ROW_OF(node, member) mem_of(node, struct mem_row, member)

/* ---- orders ------------------------------------------------------------------------------------------- */

static int order_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int mem_bytes_order(struct jobq_bytes a, struct jobq_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int64_t rank_of(const struct mem_row *row)
{
    return jobq_add_ms(row->c.row.run_at_ms, row->c.row.rank_add_ms);
}

static uint64_t word_of(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return be64toh(word);
}

/* 16 bytes, as memcmp orders them: a tree asks this for every step that it goes down. */
static int order_sixteen(const uint8_t *a, const uint8_t *b)
{
    uint64_t x = word_of(a), y = word_of(b);
    if (x == y) {
        x = word_of(a + 8);
        y = word_of(b + 8);
    }
    return (x > y) - (x < y);
}

static int order_id(const struct mem_node *a, const struct mem_node *b)
{
    return order_sixteen(ROW_OF(a, by_id)->c.row.id.bytes, ROW_OF(b, by_id)->c.row.id.bytes);
}

static int order_arrival(const struct mem_node *a, const struct mem_node *b)
{
    return order_numbers(ROW_OF(a, by_arrival)->c.arrival, ROW_OF(b, by_arrival)->c.arrival);
}

static int order_ready(const struct mem_node *a, const struct mem_node *b)
{
    const struct mem_row *x = ROW_OF(a, place), *y = ROW_OF(b, place);
    int order = order_numbers(x->c.row.alone, y->c.row.alone);
    if (!order)
        order = order_numbers(rank_of(x), rank_of(y));
    return order ? order : order_numbers(x->c.arrival, y->c.arrival);
}

static int order_asleep(const struct mem_node *a, const struct mem_node *b)
{
    const struct mem_row *x = ROW_OF(a, place), *y = ROW_OF(b, place);
    int order = order_numbers(x->c.row.run_at_ms, y->c.row.run_at_ms);
    return order ? order : order_numbers(x->c.arrival, y->c.arrival);
}

static int order_ended(const struct mem_node *a, const struct mem_node *b)
{
    const struct mem_row *x = ROW_OF(a, place), *y = ROW_OF(b, place);
    int order = order_numbers(x->c.row.finished_at_ms, y->c.row.finished_at_ms);
    return order ? order : order_sixteen(x->c.row.id.bytes, y->c.row.id.bytes);
}

static int order_clock(const struct mem_node *a, const struct mem_node *b)
{
    const struct mem_row *x = ROW_OF(a, clock), *y = ROW_OF(b, clock);
    int order = order_numbers(x->overdue_at, y->overdue_at);
    return order ? order : order_numbers(x->c.arrival, y->c.arrival);
}

static int order_held(const struct mem_node *a, const struct mem_node *b)
{
    const struct mem_row *x = ROW_OF(a, held), *y = ROW_OF(b, held);
    int order = order_sixteen(x->c.row.token.bytes, y->c.row.token.bytes);
    return order ? order : order_numbers(x->c.arrival, y->c.arrival);
}

static int order_queues(const struct mem_node *a, const struct mem_node *b)
{
    return mem_bytes_order(mem_of(a, struct mem_queue, by_name)->name,
                           mem_of(b, struct mem_queue, by_name)->name);
}

/* ---- rows --------------------------------------------------------------------------------------------- */

static bool is_ended(int state)
{
    return JOBQ_ROW_BIT((unsigned)state) & JOBQ_ROW_ENDED;
}

static int64_t overdue_at(const struct mem_row *row)
{
    return row->c.open_children && is_ended(row->c.row.state) ? row->c.row.finished_at_ms
                                                              : jobq_row_overdue_at(&row->c.row);
}

static struct mem_tree *place_of(const struct mem_row *row)
{
    const struct jobq_row *r = &row->c.row;
    if (r->state == JOBQ_ROW_WAITING && r->due)
        return row->lane && !r->alone ? &row->lane->ready : &row->queue->ready;
    if (r->state == JOBQ_ROW_WAITING)
        return &row->queue->asleep;
    return is_ended(r->state) ? &row->queue->ended[r->state] : NULL;
}

static void link_lane_row(struct mem_row *row, const struct mem_tree *place)
{
    struct mem_lane *lane = row->lane;
    bool runs = row->c.row.state == JOBQ_ROW_RUNNING;
    lane->running += runs;
    lane->group->running += runs;
    if (place == &lane->ready && !place->root->left && !place->root->right)
        mem_tree_add(&lane->queue->circle, &lane->in_circle);
}

static void unlink_lane_row(struct mem_row *row, const struct mem_tree *place)
{
    struct mem_lane *lane = row->lane;
    bool runs = row->c.row.state == JOBQ_ROW_RUNNING;
    lane->running -= runs;
    lane->group->running -= runs;
    if (place == &lane->ready && !place->root->left && !place->root->right)
        mem_tree_remove(&lane->queue->circle, &lane->in_circle);
}

static void enter_row(struct mem *m, void *object)
{
    struct mem_row *row = object;
    mem_ids_add(&m->ids, row);
    mem_tree_add(&m->rows, &row->by_id);
    mem_tree_add(&m->arrived, &row->by_arrival);
}

static void leave_row(struct mem *m, void *object)
{
    struct mem_row *row = object;
    mem_tree_remove(&m->arrived, &row->by_arrival);
    mem_tree_remove(&m->rows, &row->by_id);
    mem_ids_remove(&m->ids, row);
}

static void link_row(struct mem *m, void *object)
{
    struct mem_row *row = object;
    struct mem_tree *place = place_of(row);
    if (place)
        mem_tree_add(place, &row->place);
    row->overdue_at = overdue_at(row);
    if (row->overdue_at != INT64_MAX)
        mem_tree_add(&m->clock, &row->clock);
    if (row->c.row.state == JOBQ_ROW_RUNNING)
        mem_tree_add(&m->held, &row->held);
    row->queue->count[row->c.row.state]++;
    if (row->lane)
        link_lane_row(row, place);
}

static void unlink_row(struct mem *m, void *object)
{
    struct mem_row *row = object;
    struct mem_tree *place = place_of(row);
    row->queue->count[row->c.row.state]--;
    if (row->lane)
        unlink_lane_row(row, place);
    if (row->c.row.state == JOBQ_ROW_RUNNING)
        mem_tree_remove(&m->held, &row->held);
    if (row->overdue_at != INT64_MAX)
        mem_tree_remove(&m->clock, &row->clock);
    if (place)
        mem_tree_remove(place, &row->place);
}

static const struct mem_type row_type = {
    .enter = enter_row,
    .leave = leave_row,
    .link = link_row,
    .unlink = unlink_row,
    .cells = offsetof(struct mem_row, c),
    .cells_bytes = sizeof(struct mem_row_cells),
};

bool mem_is_newest(const struct mem *m, const struct jobq_id *id)
{
    const struct mem_row *last = ROW_OF(m->rows.last, by_id);
    return last && order_sixteen(last->c.row.id.bytes, id->bytes) < 0;
}

struct mem_row *mem_row_after(const struct mem *m, const struct jobq_id *id)
{
    struct mem_row key = {.c.row.id = *id};
    return ROW_OF(mem_tree_after(&m->rows, &key.by_id), by_id);
}

struct mem_row *mem_row_arrived(const struct mem *m, int64_t after)
{
    struct mem_row key = {.c.arrival = after};
    return ROW_OF(mem_tree_after(&m->arrived, &key.by_arrival), by_arrival);
}

struct mem_row *mem_queue_next(const struct mem_tree *tree, const struct mem_row *row)
{
    return ROW_OF(row ? mem_tree_next(&row->place) : mem_tree_first(tree), place);
}

struct mem_row *mem_ready_from(const struct mem_queue *queue, bool alone)
{
    struct mem_row key = {.c.row = {.alone = alone, .run_at_ms = INT64_MIN}, .c.arrival = INT64_MIN};
    return ROW_OF(mem_tree_from(&queue->ready, &key.place), place);
}

struct mem_row *mem_held_from(const struct mem *m, const struct jobq_token *token)
{
    struct mem_row key = {.c.row.token = *token, .c.arrival = INT64_MIN};
    return ROW_OF(mem_tree_from(&m->held, &key.held), held);
}

struct mem_row *mem_held_next(const struct mem_row *row)
{
    return ROW_OF(mem_tree_next(&row->held), held);
}

struct mem_row *mem_clock_next(const struct mem *m, const struct mem_row *row)
{
    return ROW_OF(row ? mem_tree_next(&row->clock) : mem_tree_first(&m->clock), clock);
}

/* A key for any instant. No more of it is set than orders look at: to set all takes longer than to look. */
static void set_instant(struct mem_row *key, int64_t at)
{
    key->overdue_at = key->c.row.run_at_ms = at;
    key->c.arrival = INT64_MAX;
}

int64_t mem_next_due(const struct mem *m, int64_t now)
{
    struct mem_row key;
    set_instant(&key, now);
    const struct mem_row *row = ROW_OF(mem_tree_after(&m->clock, &key.clock), clock);
    int64_t next = row ? row->overdue_at : INT64_MAX;
    for (const struct mem_queue *q = mem_queue_after(m, NULL); q; q = mem_queue_after(m, q)) {
        row = ROW_OF(mem_tree_after(&q->asleep, &key.place), place);
        if (row && row->c.row.run_at_ms < next)
            next = row->c.row.run_at_ms;
    }
    int64_t tick = mem_next_tick_after(m, now);
    return tick < next ? tick : next;
}

/* ---- what a row owns ---------------------------------------------------------------------------------- */

static void own(struct mem_row *row, struct jobq_bytes *cell)
{
    char *at = row->text + row->text_bytes;
    if (!cell->data)
        return;
    if (cell->size)
        memcpy(at, cell->data, cell->size);
    cell->data = at;
    row->text_bytes += cell->size;
}

struct mem_row *mem_row_make(struct mem_unit *u, struct mem_queue *queue, struct mem_lane *lane,
                             const struct jobq_row *value)
{
    size_t bytes =
        value->kind.size + value->payload.size + value->policy.size + value->key.size + value->trace.size;
    struct mem_row *row = mem_room(u, sizeof *row + bytes);
    if (!row || mem_ids_reserve(&u->m->ids) != 0)
        return NULL;
    row->object = (struct mem_object){.type = &row_type};
    row->queue = queue;
    row->lane = lane;
    memset(&row->c, 0, sizeof row->c);
    row->c.row = *value;
    row->c.arrival = u->m->arrivals++;
    row->text_bytes = 0;
    struct jobq_row *r = &row->c.row;
    r->queue = queue->name;
    struct jobq_bytes *cells[] = {&r->kind, &r->payload, &r->policy, &r->key, &r->trace};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        own(row, cells[i]);
    if (lane)
        r->group = lane->group->name;
    else
        own(row, &r->group); /* absent or empty */
    return row;
}

static void give_up(struct mem_unit *u, const struct mem_row *row, struct jobq_bytes cell)
{
    uintptr_t at = (uintptr_t)cell.data, text = (uintptr_t)row->text;
    if (at < text || at > text + row->text_bytes)
        mem_free(u, cell.data);
}

int mem_row_set(struct mem_unit *u, struct mem_row *row, struct jobq_bytes *cell, struct jobq_bytes value)
{
    struct jobq_bytes copy;
    if (mem_copy_bytes(u, value, &copy) != 0)
        return -1;
    give_up(u, row, *cell);
    *cell = copy;
    return 0;
}

static void free_entries(struct mem_unit *u, const struct jobq_row_error *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free(u, entries[i].worker.data);
        mem_free(u, entries[i].text.data);
    }
    mem_free(u, entries);
}

static void free_pieces(struct mem_unit *u, const struct mem_row *row)
{
    const struct jobq_row *r = &row->c.row;
    give_up(u, row, r->payload);
    mem_free(u, r->worker.data);
    mem_free(u, r->result.data);
    mem_free(u, r->progress.data);
    mem_free(u, r->data.data);
    free_entries(u, r->errors, r->error_count);
    free_entries(u, r->log, r->log_count);
}

int mem_row_remove(struct mem_unit *u, struct mem_row *row)
{
    int state = is_ended(row->c.row.state) ? row->c.row.state : JOBQ_ROW_GONE;
    u->wake |= row->c.row.state == JOBQ_ROW_RUNNING && mem_frees_slot(u->m, row);
    if (mem_edges_close(u, &row->c.row.id, false) != 0 || mem_key_settle(u, row, state) != 0 ||
        mem_drop(u, row) != 0)
        return -1;
    free_pieces(u, row);
    return 0;
}

/* ---- queues -------------------------------------------------------------------------------------------- */

static void enter_queue(struct mem *m, void *object)
{
    mem_tree_add(&m->queues, &((struct mem_queue *)object)->by_name);
}

static void leave_queue(struct mem *m, void *object)
{
    mem_tree_remove(&m->queues, &((struct mem_queue *)object)->by_name);
}

static const struct mem_type queue_type = {
    .enter = enter_queue,
    .leave = leave_queue,
    .cells = offsetof(struct mem_queue, c),
    .cells_bytes = sizeof(struct mem_queue_cells),
};

struct mem_queue *mem_queue_find(const struct mem *m, struct jobq_bytes name)
{
    struct mem_queue key;
    key.by_name = (struct mem_node){0};
    key.name = name;
    struct mem_queue *queue = mem_of(mem_tree_from(&m->queues, &key.by_name), struct mem_queue, by_name);
    return queue && mem_bytes_order(queue->name, name) == 0 ? queue : NULL;
}

struct mem_queue *mem_queue_after(const struct mem *m, const struct mem_queue *queue)
{
    struct mem_node *node = queue ? mem_tree_next(&queue->by_name) : mem_tree_first(&m->queues);
    return mem_of(node, struct mem_queue, by_name);
}

struct mem_queue *mem_queue_get(struct mem_unit *u, struct jobq_bytes name)
{
    struct mem_queue *queue = mem_queue_find(u->m, name);
    if (queue)
        return queue;
    queue = mem_alloc(u, sizeof *queue);
    if (!queue || mem_copy_bytes(u, name, &queue->name) != 0)
        return NULL;
    queue->object.type = &queue_type;
    queue->ready.order = order_ready;
    queue->asleep.order = order_asleep;
    for (int state = 0; state < 8; state++)
        queue->ended[state].order = order_ended;
    mem_lanes_init(queue);
    queue->c.depth = queue->c.concurrency = queue->c.group_concurrency = queue->c.rate = -1;
    return mem_add(u, queue) == 0 ? queue : NULL;
}

/* ---- begin and end of a store -------------------------------------------------------------------------- */

void mem_rows_init(struct mem *m)
{
    m->rows.order = order_id;
    m->arrived.order = order_arrival;
    m->clock.order = order_clock;
    m->held.order = order_held;
    m->queues.order = order_queues;
}

void mem_rows_free(struct mem *m)
{
    struct mem_unit u = {.m = m};
    for (struct mem_row *row = ROW_OF(mem_tree_first(&m->rows), by_id), *next; row; row = next) {
        next = ROW_OF(mem_tree_next(&row->by_id), by_id);
        free_pieces(&u, row);
        mem_free(&u, row);
    }
    mem_unit_commit(&u);
    for (struct mem_queue *queue; (queue = mem_queue_after(m, NULL)) != NULL;) {
        mem_tree_remove(&m->queues, &queue->by_name);
        mem_lanes_free(queue);
        mem_free_now(queue->name.data);
        mem_free_now(queue);
    }
}
