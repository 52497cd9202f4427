/* SPDX-License-Identifier: MIT */
/* Retention: rows that go, and results that go before their rows. */
#include "memory.h"

/* Those over the count stand first, those over the age too: the walk ends at the first that is neither. */
static int trim_state(struct mem_unit *u, struct mem_queue *queue, int state, const struct jobq_trim *trim,
                      size_t *left)
{
    int64_t keep = queue->c.has_keep ? queue->c.keep_count[state] : trim->keep_count[state];
    int64_t keep_ms = queue->c.has_keep ? queue->c.keep_ms[state] : trim->keep_ms[state];
    size_t count = queue->count[state];
    size_t over = keep >= 0 && count > (uint64_t)keep ? count - (size_t)keep : 0;
    struct mem_row *next;
    for (struct mem_row *row = mem_queue_next(&queue->ended[state], NULL); row && *left; row = next) {
        bool old = keep_ms > 0 && jobq_add_ms(row->c.row.finished_at_ms, keep_ms) < u->now;
        if (!over && !old)
            return 0;
        next = mem_queue_next(&queue->ended[state], row);
        over -= over > 0;
        if (row->c.open_children)
            continue;
        if (mem_event_trimmed(u, row) != 0 || mem_row_remove(u, row) != 0 || mem_edit(u, queue) != 0)
            return -1;
        queue->c.trimmed[state]++;
        mem_done(u, queue);
        (*left)--;
    }
    return 0;
}

static bool is_past(int64_t at, int64_t ms, int64_t now)
{
    return jobq_add_ms(at, ms) < now;
}

/* Behind the place that it came to before; from the first when the clock says that it cannot have come so far. */
static struct mem_row *first_result(const struct mem_queue *queue, int64_t ms, int64_t now)
{
    const struct mem_tree *tree = &queue->ended[JOBQ_ROW_COMPLETED];
    struct mem_row place = {.c.row = {.id = queue->c.results_id, .finished_at_ms = queue->c.results_at_ms}};
    if (!is_past(queue->c.results_at_ms, ms, now))
        return mem_queue_next(tree, NULL);
    return mem_of(mem_tree_after(tree, &place.place), struct mem_row, place);
}

static int forget_result(struct mem_unit *u, struct mem_row *row)
{
    if (!row->c.row.result.data)
        return 0;
    if (mem_edit(u, row) != 0)
        return -1;
    mem_free(u, row->c.row.result.data);
    row->c.row.result = (struct jobq_bytes){0};
    mem_done(u, row);
    return 0;
}

static int note_place(struct mem_unit *u, struct mem_queue *queue, const struct jobq_row *last)
{
    if (mem_edit(u, queue) != 0)
        return -1;
    queue->c.results_at_ms = last->finished_at_ms;
    queue->c.results_id = last->id;
    mem_done(u, queue);
    return 0;
}

static int trim_results(struct mem_unit *u, struct mem_queue *queue, const struct jobq_trim *trim, size_t *left)
{
    int64_t ms = queue->c.has_keep ? queue->c.keep_ms[JOBQ_KEEP_RESULTS] : trim->keep_ms[JOBQ_KEEP_RESULTS];
    struct mem_row *last = NULL;
    if (ms <= 0)
        return 0;
    for (struct mem_row *row = first_result(queue, ms, u->now); row && *left; (*left)--) {
        if (!is_past(row->c.row.finished_at_ms, ms, u->now))
            break;
        if (forget_result(u, row) != 0)
            return -1;
        last = row;
        row = mem_queue_next(&queue->ended[JOBQ_ROW_COMPLETED], row);
    }
    return last ? note_place(u, queue, &last->c.row) : 0;
}

int mem_trim(struct mem_unit *u, const struct jobq_trim *trim)
{
    size_t left = trim->limit;
    for (struct mem_queue *q = mem_queue_after(u->m, NULL); q && left; q = mem_queue_after(u->m, q))
        for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
            if (q->ended_now & JOBQ_ROW_BIT((unsigned)state) && trim_state(u, q, state, trim, &left) != 0)
                return -1;
    for (struct mem_queue *q = mem_queue_after(u->m, NULL); q && left; q = mem_queue_after(u->m, q))
        if (q->ended_now & JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED) && trim_results(u, q, trim, &left) != 0)
            return -1;
    return 0;
}
