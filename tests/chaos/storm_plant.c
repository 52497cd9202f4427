/* SPDX-License-Identifier: MIT */
/* Stores that make a mistake now and then, so that it can be seen that a storm notices. */
#include "storm.h"

#include <stdlib.h>
#include <string.h>

enum mistake {
    GIVES_TWICE,
    FORGETS_AN_ACK,
    LOSES_A_PUT,
    LISTS_TOO_LITTLE,
    COUNTS_ONE_MORE,
    BEATS_FOR_TWO,
    KEEPS_A_CANCELLED
};

/* Of so many calls that could show it one does. Few cancels meet a job that may still be cancelled; and a heartbeat that
 * tells of one too many is right about jobs of which one was taken meanwhile. */
static const struct {
    const char *name;
    unsigned each;
} mistakes[] = {
    [GIVES_TWICE] = {"a row is given to two", 10},
    [FORGETS_AN_ACK] = {"an ack is answered and not done", 10},
    [LOSES_A_PUT] = {"a put is answered and not done", 10},
    [LISTS_TOO_LITTLE] = {"a list leaves out a row", 1},
    [COUNTS_ONE_MORE] = {"the statistics count one too many", 1},
    [BEATS_FOR_TWO] = {"a heartbeat tells of a row too many", 1},
    [KEEPS_A_CANCELLED] = {"a cancel is answered and not done", 2},
};

static const struct jobq_backend *real;
static struct jobq_backend table;
static enum mistake chosen;
static atomic_uint turns;

static bool now(void)
{
    unsigned each = mistakes[chosen].each;
    return atomic_fetch_add(&turns, 1) % each == each - 1;
}

/* The last row of the claim before is given once more. */
static void give_twice(struct jobq_want *want, struct jobq_arena *arena)
{
    static struct jobq_row before;
    static atomic_flag lock = ATOMIC_FLAG_INIT;
    while (atomic_flag_test_and_set(&lock))
        continue;
    struct jobq_row *rows = jobq_arena_alloc(arena, want->row_count * sizeof *rows);
    if (rows) {
        memcpy(rows, want->rows, want->row_count * sizeof *rows);
        if (before.attempt && now()) {
            rows[0].id = before.id;
            rows[0].attempt = before.attempt;
        }
        before.id = rows[want->row_count - 1].id;
        before.attempt = rows[want->row_count - 1].attempt;
        want->rows = rows;
    }
    atomic_flag_clear(&lock);
}

static bool is_planted(const struct jobq_change *change)
{
    return (chosen == FORGETS_AN_ACK && change->outcome == JOBQ_OUTCOME_COMPLETE) ||
           (chosen == KEEPS_A_CANCELLED && change->by == JOBQ_BY_OPERATOR &&
            change->state == JOBQ_ROW_CANCELLED);
}

static int exchange(struct jobq_store *store, struct jobq_exchange *x, struct jobq_arena *arena,
                    struct jobq_error *err)
{
    struct jobq_exchange sent = *x;
    bool without_change = x->change_count && is_planted(&x->changes[x->change_count - 1]) && now();
    bool without_put = chosen == LOSES_A_PUT && x->put_count && now();
    sent.change_count -= without_change;
    sent.put_count -= without_put;
    int status = real->exchange(store, &sent, arena, err);
    sent.change_count = x->change_count;
    sent.put_count = x->put_count;
    *x = sent;
    if (status != JOBQ_OK)
        return status;
    if (without_change)
        x->changes[x->change_count - 1].verdict = JOBQ_OK;
    if (without_put)
        x->puts[x->put_count - 1].verdict = JOBQ_OK;
    if (chosen == BEATS_FOR_TWO && x->beat_count && now())
        x->beats[0].held++;
    if (chosen == GIVES_TWICE && x->want && x->want->mode == JOBQ_WANT_DUE && x->want->row_count)
        give_twice(x->want, arena);
    return status;
}

static int read_rows(struct jobq_store *store, struct jobq_query *query, struct jobq_arena *arena,
                     struct jobq_error *err)
{
    int status = real->read(store, query, arena, err);
    if (status == JOBQ_OK && chosen == LISTS_TOO_LITTLE && query->limit >= 1000 && query->row_count)
        query->row_count--, query->rows++;
    return status;
}

static int stats(struct jobq_store *store, const struct jobq_bytes *queue, struct jobq_stats *out,
                 struct jobq_arena *arena, struct jobq_error *err)
{
    int status = real->stats(store, queue, out, arena, err);
    if (status != JOBQ_OK || chosen != COUNTS_ONE_MORE || out->queue_count == 0)
        return status;
    struct jobq_queue_stats *queues = jobq_arena_alloc(arena, out->queue_count * sizeof *queues);
    if (!queues)
        return JOBQ_FAILED;
    memcpy(queues, out->queues, out->queue_count * sizeof *queues);
    queues[0].present[JOBQ_COMPLETED]++;
    out->queues = queues;
    return status;
}

const struct jobq_backend *storm_plant(const struct jobq_backend *backend, int number, const char **name)
{
    if (number >= (int)(sizeof mistakes / sizeof *mistakes))
        return NULL;
    real = backend;
    chosen = (enum mistake)number;
    *name = mistakes[number].name;
    table = *backend;
    table.exchange = exchange;
    table.read = read_rows;
    table.stats = stats;
    return &table;
}
