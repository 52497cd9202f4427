/* SPDX-License-Identifier: MIT */
/* The items of several calls in one exchange: taken in order of arrival and within the bounds, and what was answered dealt
 * out. */
#include "batch.h"

#include <string.h>

/* ---- wants of several callers -------------------------------------------------------------------------------------- */

static bool same_bytes(const struct jobq_bytes *a, const struct jobq_bytes *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static bool same_names(const struct jobq_bytes *a, size_t a_count, const struct jobq_bytes *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (!same_bytes(&a[i], &b[i]))
            return false;
    return true;
}

static bool wants_join(const struct jobq_want *a, const struct jobq_want *b)
{
    return a->mode == JOBQ_WANT_DUE && b->mode == JOBQ_WANT_DUE && a->lease_ms == b->lease_ms &&
           same_bytes(&a->worker, &b->worker) && a->share == b->share && a->limit + b->limit <= EXCHANGE_ITEMS &&
           same_names(a->queues, a->queue_count, b->queues, b->queue_count) &&
           same_names(a->kinds, a->kind_count, b->kinds, b->kind_count);
}

static bool want_fits(const struct batch *b, const struct call *call)
{
    return !call->want || !b->want_owner || wants_join(&b->want, call->want);
}

static void want_add(struct batch *b, struct call *call)
{
    if (!call->want)
        return;
    if (!b->want_owner) {
        b->want_owner = call;
        b->want = *call->want;
        return;
    }
    b->want.limit += call->want->limit;
    b->want.others += call->want->others;
    if (call->want->bytes > b->want.bytes)
        b->want.bytes = call->want->bytes;
}

/* Deal the rows out in order: each caller up to its limit. */
static void want_deal(struct batch *b)
{
    size_t given = 0;

    for (struct call *call = b->first; call; call = call->next) {
        struct jobq_want *mine = call->want;
        if (!mine)
            continue;
        size_t left = b->want.row_count - given;
        mine->token = b->want.token;
        mine->rows = b->want.rows ? b->want.rows + given : NULL;
        mine->row_count = left < mine->limit ? left : mine->limit;
        mine->more = b->want.more;
        mine->schedules = b->want.schedules;
        mine->schedule_count = b->want.schedule_count;
        mine->schedule_now_ms = b->want.schedule_now_ms;
        given += mine->row_count;
    }
}

/* ---- gathering -------------------------------------------------------------------------------------------------------- */

void batch_of_one(struct batch *b, struct call *call, struct jobq_arena *arena)
{
    *b = (struct batch){ .first = call, .calls = 1, .beats = call->beat_count, .changes = call->change_count,
                         .puts = call->put_count, .arena = arena };
    b->x.worker = call->worker;
    want_add(b, call);
}

static size_t call_items(const struct call *call)
{
    return call->beat_count + call->change_count + call->put_count;
}

/* Each lane its share of all that wait or are on their way. Alternatives would be many small exchanges beside one large. */
static size_t fair_share(const struct jobq *q)
{
    size_t open = lanes_open(q);

    return (q->waiting + q->sent + open - 1) / open;
}

void batch_take(struct jobq *q, struct batch *b)
{
    struct call **tail = &b->first;
    size_t items = 0, bytes = 0, most = fair_share(q);

    while (q->first && b->calls < most) {
        struct call *call = q->first;
        if (b->calls && (q->attached || items + call_items(call) > EXCHANGE_ITEMS || bytes + call->bytes > EXCHANGE_BYTES ||
                         (call->worker && b->x.worker) || !want_fits(b, call)))
            break;
        q->first = call->next;
        if (!q->first)
            q->last = NULL;
        call->next = NULL;
        call->stage = STAGE_SENT;
        __atomic_add_fetch(&call->refs, 1, __ATOMIC_RELAXED);
        *tail = call;
        tail = &call->next;
        items += call_items(call);
        bytes += call->bytes;
        b->calls++;
        q->waiting--;
        q->sent++;
        b->beats += call->beat_count;
        b->changes += call->change_count;
        b->puts += call->put_count;
        if (call->worker)
            b->x.worker = call->worker;
        want_add(b, call);
    }
}

static void gather_call(struct batch *b, const struct call *call, size_t *beats, size_t *changes, size_t *puts)
{
    if (call->beat_count)
        memcpy(b->x.beats + *beats, call->beats, call->beat_count * sizeof *call->beats);
    if (call->change_count)
        memcpy(b->x.changes + *changes, call->changes, call->change_count * sizeof *call->changes);
    for (size_t i = 0; i < call->put_count; i++) {
        struct jobq_put *put = &b->x.puts[*puts + i];
        *put = call->puts[i];
        if (put->only_if >= 0)
            put->only_if += (int32_t)*changes;
    }
    *beats += call->beat_count;
    *changes += call->change_count;
    *puts += call->put_count;
}

static void scatter_call(const struct batch *b, struct call *call, size_t *beats, size_t *changes, size_t *puts)
{
    if (call->beat_count)
        memcpy(call->beats, b->x.beats + *beats, call->beat_count * sizeof *call->beats);
    if (call->change_count)
        memcpy(call->changes, b->x.changes + *changes, call->change_count * sizeof *call->changes);
    for (size_t i = 0; i < call->put_count; i++) {
        int32_t only_if = call->puts[i].only_if;
        call->puts[i] = b->x.puts[*puts + i];
        call->puts[i].only_if = only_if;
    }
    *beats += call->beat_count;
    *changes += call->change_count;
    *puts += call->put_count;
}

void batch_room(struct batch *b)
{
    b->arena = jobq_arena_create();
    b->shared = b->arena ? jobq_arena_alloc(b->arena, sizeof *b->shared) : NULL;
    if (b->shared)
        return;
    jobq_arena_destroy(b->arena);
    b->arena = NULL;
}

/* One call alone lends its arrays; several are gathered into arrays of the exchange. */
int batch_gather(struct batch *b)
{
    struct call *only = b->first;

    b->x.beat_count = b->beats;
    b->x.change_count = b->changes;
    b->x.put_count = b->puts;
    if (b->calls == 1) {
        b->x.beats = only->beats;
        b->x.changes = only->changes;
        b->x.puts = only->puts;
        return 0;
    }
    b->x.beats = jobq_arena_alloc(b->arena, b->beats * sizeof *b->x.beats + 1);
    b->x.changes = jobq_arena_alloc(b->arena, b->changes * sizeof *b->x.changes + 1);
    b->x.puts = jobq_arena_alloc(b->arena, b->puts * sizeof *b->x.puts + 1);
    if (!b->x.beats || !b->x.changes || !b->x.puts)
        return -1;
    size_t beats = 0, changes = 0, puts = 0;
    for (struct call *call = b->first; call; call = call->next)
        gather_call(b, call, &beats, &changes, &puts);
    return 0;
}

/* ---- dealing out ----------------------------------------------------------------------------------------------------- */

static void call_fail_items(struct call *call, int status)
{
    for (size_t i = 0; i < call->change_count; i++)
        call->changes[i].verdict = status;
    for (size_t i = 0; i < call->put_count; i++)
        call->puts[i].verdict = status;
}

void batch_answer(struct batch *b)
{
    size_t beats = 0, changes = 0, puts = 0;

    for (struct call *call = b->first; call && b->calls > 1; call = call->next)
        scatter_call(b, call, &beats, &changes, &puts);
    if (b->want_owner)
        want_deal(b);
    for (struct call *call = b->first; call; call = call->next) {
        call->unit = b->x.unit;
        call->want_unit = b->x.want_unit;
        call->now_ms = b->x.now_ms;
        call->next_due_ms = b->x.next_due_ms;
        call->next_tick_ms = b->x.next_tick_ms;
        if (b->x.unit != JOBQ_OK || (call->want && b->x.want_unit != JOBQ_OK))
            call->error = b->error;
        if (b->x.unit != JOBQ_OK)
            call_fail_items(call, b->x.unit);
    }
}

bool batch_made_work(const struct batch *b)
{
    for (const struct call *call = b->first; call; call = call->next) {
        if (call->unit != JOBQ_OK)
            continue;
        if (call->put_count)
            return true;
        for (size_t i = 0; i < call->change_count; i++)
            if (call->changes[i].verdict == JOBQ_OK && (change_ends(&call->changes[i]) ||
                call->changes[i].state == JOBQ_ROW_WAITING || call->changes[i].by != JOBQ_BY_TOKEN))
                return true;
    }
    return false;
}

void batch_finish(struct batch *b, bool poked)
{
    if (b->shared)
        *b->shared = (struct shared_answer){ b->arena, (int)b->calls };
    for (struct call *call = b->first; call; call = call->next) {
        call->shared = b->shared;
        call->answer = b->arena;
        call->poked = poked;
        call->stage = STAGE_DONE;
    }
}
