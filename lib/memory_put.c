/* SPDX-License-Identifier: MIT */
/* New rows, and rows that retention takes away. */
#include "memory.h"

#include <string.h>

/* ---- verdicts -------------------------------------------------------------------------------------------- */

static int same_bytes(struct jobq_bytes a, struct jobq_bytes b)
{
    return !a.data == !b.data && mem_bytes_order(a, b) == 0;
}

static void answer_row(struct jobq_put *put, const struct jobq_row *r, int64_t now)
{
    put->holder = r->id;
    put->state = r->state;
    put->shown = jobq_shown_state(r->state, r->run_at_ms, now);
}

static bool parents_missing(const struct mem_unit *u, const struct jobq_put *put)
{
    for (size_t i = 0; i < put->parent_count; i++)
        if (!mem_find(u->m, &put->parents[i].id))
            return true;
    return false;
}

/* Most of what is put together goes to the same queue. */
static struct mem_queue *queue_of(struct mem_unit *u, struct jobq_bytes name)
{
    if (!u->queue || mem_bytes_order(u->queue->name, name) != 0)
        u->queue = mem_queue_find(u->m, name);
    return u->queue;
}

static bool is_full(const struct mem_queue *queue)
{
    if (!queue || queue->c.depth < 0)
        return false;
    return queue->count[JOBQ_ROW_BLOCKED] + queue->count[JOBQ_ROW_WAITING] >= (uint64_t)queue->c.depth;
}

/* ---- a key that is held ------------------------------------------------------------------------------------ */

static int replace_payload(struct mem_unit *u, struct mem_row *row, const struct jobq_put *put)
{
    struct jobq_row *r = &row->c.row;
    if (mem_edit(u, row) != 0 || mem_row_set(u, row, &r->payload, put->payload) != 0)
        return -1;
    r->payload_bytes = r->payload.size;
    r->edits += r->edits < UINT32_MAX;
    memcpy(row->c.key.payload_digest, put->unique->payload_digest, sizeof row->c.key.payload_digest);
    mem_done(u, row);
    return 0;
}

static int64_t first_run_at(const struct mem_unit *u, const struct jobq_put *put)
{
    return put->run_at.base == JOBQ_TIME_KEEP ? u->now : jobq_time_of(&put->run_at, 0, u->now);
}

static int extend_delay(struct mem_unit *u, struct mem_row *row, const struct jobq_put *put)
{
    struct jobq_row *r = &row->c.row;
    if (mem_edit(u, row) != 0)
        return -1;
    r->run_at_ms = first_run_at(u, put);
    r->edits += r->edits < UINT32_MAX;
    if (r->state == JOBQ_ROW_WAITING)
        mem_wait(u, row);
    mem_done(u, row);
    return 0;
}

static int new_digest(struct mem_unit *u, struct mem_key *key, const struct jobq_put *put)
{
    if (mem_edit(u, key) != 0)
        return -1;
    memcpy(key->c.key.payload_digest, put->unique->payload_digest, sizeof key->c.key.payload_digest);
    mem_done(u, key);
    return 0;
}

static int meet_holder(struct mem_unit *u, struct jobq_put *put, struct mem_key *key)
{
    struct mem_row *row = mem_key_holder(u->m, key);
    bool waits = row && (row->c.row.state == JOBQ_ROW_WAITING || row->c.row.state == JOBQ_ROW_BLOCKED);
    int result = 0;
    put->verdict = JOBQ_DUPLICATE;
    put->same_payload =
        memcmp(key->c.key.payload_digest, put->unique->payload_digest, sizeof key->c.key.payload_digest) == 0;
    if (waits && put->unique->conflict == JOBQ_CONFLICT_REPLACE) {
        put->verdict = JOBQ_REPLACED;
        result = replace_payload(u, row, put) != 0 ? -1 : new_digest(u, key, put);
    } else if (waits && put->unique->conflict == JOBQ_CONFLICT_EXTEND) {
        put->verdict = JOBQ_EXTENDED;
        result = extend_delay(u, row, put);
    } else if (put->unique->conflict == JOBQ_CONFLICT_SUCCESSOR &&
               (key->c.key.hold == JOBQ_HOLD_LIVE || key->c.key.hold == JOBQ_HOLD_UNRESOLVED)) {
        put->verdict = JOBQ_SUCCESSOR;
        result = mem_key_succeed(u, key, put);
    }
    put->holder = key->c.job;
    put->state = key->c.ended;
    put->shown = jobq_shown_state(key->c.ended, 0, u->now);
    if (row)
        answer_row(put, &row->c.row, u->now);
    return result;
}

/* ---- a new row ------------------------------------------------------------------------------------------------ */

static int count_put(struct mem_unit *u, struct mem_queue *queue)
{
    if (mem_edit(u, queue) != 0)
        return -1;
    queue->c.enqueued++;
    queue->c.known = true;
    mem_done(u, queue);
    return 0;
}

static struct mem_row *make_row(struct mem_unit *u, struct mem_queue *queue, const struct jobq_put *put)
{
    struct mem_lane *lane = NULL;
    uint32_t pending = 0;
    if ((!queue && !(queue = mem_queue_get(u, put->queue))) || mem_edges_put(u, &put->id, put->parents, put->parent_count, &pending) != 0)
        return NULL;
    if (put->group.size && !(lane = mem_lane_get(u, queue, put->group)))
        return NULL;
    struct jobq_row value;
    jobq_row_put(&value, put, pending, u->now);
    struct mem_row *row = mem_row_make(u, queue, lane, &value);
    if (!row || !put->unique)
        return row;
    row->c.has_key = true;
    row->c.key = *put->unique;
    row->c.window_until_ms = jobq_add_ms(u->now, put->unique->window_ms);
    return row;
}

/* `queue` NULL: it is found by its name, or made. */
static int store_row(struct mem_unit *u, struct mem_queue *queue, struct jobq_put *put)
{
    struct mem_row *row = make_row(u, queue, put);
    if (!row || mem_add(u, row) != 0 || mem_key_take(u, row) != 0 || count_put(u, row->queue) != 0 ||
        mem_event(u, row, row->c.row.state) != 0)
        return -1;
    u->wake |= row->c.row.state == JOBQ_ROW_WAITING;
    put->verdict = JOBQ_OK;
    put->same_payload = 1;
    answer_row(put, &row->c.row, u->now);
    return 0;
}

/* With the parents there: the key, the depth, the quota, the row. */
static int put_row(struct mem_unit *u, struct jobq_put *put)
{
    struct mem_key *key = put->unique ? mem_key_held(u->m, put->unique->scope, u->now) : NULL;
    if (key)
        return meet_holder(u, put, key);
    struct mem_queue *queue = queue_of(u, put->queue);
    if (is_full(queue)) {
        put->verdict = JOBQ_FULL;
        return 0;
    }
    put->retry_ms = mem_quota_wait(u, put->group);
    if (put->retry_ms) {
        put->verdict = JOBQ_LIMITED;
        return 0;
    }
    return store_row(u, queue, put) != 0 ? -1 : mem_count_put(u, put->group);
}

/* Is the nominal time of a tick dealt with by this verdict? Otherwise it can be tried again. */
static bool settles(int verdict)
{
    return verdict == JOBQ_OK || verdict == JOBQ_DUPLICATE || verdict == JOBQ_REPLACED ||
           verdict == JOBQ_EXTENDED || verdict == JOBQ_SUCCESSOR;
}

int mem_put_successor(struct mem_unit *u, struct jobq_put *put)
{
    return store_row(u, NULL, put);
}

int mem_put(struct mem_unit *u, struct jobq_put *put, const struct jobq_change *changes)
{
    put->state = put->shown = put->same_payload = 0;
    put->holder = (struct jobq_id){ 0 };
    put->retry_ms = 0;
    if (put->only_if >= 0 && changes[put->only_if].verdict != JOBQ_OK) {
        put->verdict = JOBQ_SKIPPED;
        return 0;
    }
    const struct mem_row *same = mem_find(u->m, &put->id);
    if (same) {
        put->verdict = JOBQ_ALREADY;
        put->same_payload = same_bytes(same->c.row.payload, put->payload);
        answer_row(put, &same->c.row, u->now);
        return 0;
    }
    if (put->tick) {
        if (mem_tick_guard(u, put->tick, &put->verdict) != 0)
            return -1;
        if (put->verdict != JOBQ_OK || put->tick->mode != JOBQ_TICK_PUT)
            return 0;
    }
    if (parents_missing(u, put)) {
        put->verdict = JOBQ_NO_PARENT;
        return 0;
    }
    if (put_row(u, put) != 0)
        return -1;
    return put->tick && settles(put->verdict) ? mem_tick_settle(u, put->tick) : 0;
}
