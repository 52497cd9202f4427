/* SPDX-License-Identifier: MIT */
#include "door.h"

#include <string.h>

struct door door;

static bool is_refused(const struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->change_count; i++)
        if ((door.refuse_result && x->changes[i].result.size == door.refuse_result) ||
            (door.refuse_error && x->changes[i].error.size == door.refuse_error))
            return true;
    for (size_t i = 0; i < x->put_count; i++)
        if (door.refuse_payload && x->puts[i].payload.size == door.refuse_payload)
            return true;
    return false;
}

static bool has_no_room(const struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->change_count; i++)
        if (door.full_above && x->changes[i].result.size > door.full_above)
            return true;
    return (door.full_for_wants && x->want) || (door.full_for_beats && (x->beat_count || x->worker));
}

static int failed(struct jobq_exchange *x, int class, struct jobq_error *err)
{
    door.fired++;
    x->unit = JOBQ_FAILED;
    x->want_unit = JOBQ_SKIPPED;
    x->failure = class;
    return jobq_error_set(err, JOBQ_FAILED, NULL, "the door is shut");
}

static void note(const struct jobq_exchange *x)
{
    size_t at = (size_t)door.calls % 64;

    door.last[at].beats = x->beat_count;
    door.last[at].changes = x->change_count;
    door.last[at].puts = x->put_count;
    door.last[at].want = x->want ? (size_t)x->want->mode : 0;
}

static int fault_of_this_call(void)
{
    if (door.fault_at && door.calls >= door.fault_at && door.calls < door.fault_at + door.fault_length)
        return door.fault;
    if (door.fail > 0) {
        door.fail--;
        return JOBQ_FAILED;
    }
    if (door.unknown > 0) {
        door.unknown--;
        return JOBQ_UNKNOWN;
    }
    return JOBQ_OK;
}

static int door_exchange(struct jobq_store *store, struct jobq_exchange *x, struct jobq_arena *arena,
                         struct jobq_error *err)
{
    door.calls++;
    note(x);
    int fault = fault_of_this_call();
    if (fault == JOBQ_FAILED)
        return failed(x, JOBQ_FAILURE_TRANSIENT, err);
    if (is_refused(x))
        return failed(x, JOBQ_FAILURE_REFUSED, err);
    if (has_no_room(x))
        return failed(x, JOBQ_FAILURE_FULL, err);
    if (door.slow_ms)
        atomic_fetch_add(&door.kit->clock, door.slow_ms);
    struct jobq_want *want = x->want;
    if (want && door.want_fails > 0)
        x->want = NULL;
    int rc = door.inner->exchange(store, x, arena, err);
    x->want = want;
    if (want && door.want_fails > 0) {
        door.want_fails--;
        x->want_unit = JOBQ_FAILED;
    }
    if (fault == JOBQ_UNKNOWN) {
        door.fired++;
        return x->unit = x->want_unit = jobq_error_set(err, JOBQ_UNKNOWN, NULL, "no answer");
    }
    return rc;
}

struct jobq_backend *door_open(struct kit *k)
{
    static struct jobq_backend backend;

    memset(&door, 0, sizeof door);
    door.inner = kit_backend();
    door.kit = k;
    backend = *door.inner;
    backend.exchange = door_exchange;
    return &backend;
}

void open_behind_door(struct kit *k)
{
    kit_open_with(k, door_open(k));
}

void live_until_completed(struct kit *k, uint64_t count)
{
    for (int i = 0; KIT_COUNT(k->w, completed) < count; i++) {
        ck_assert_int_lt(i, 500);
        ck_assert_int_eq(jobq_worker_dispatch(k->w), JOBQ_OK);
        kit_until_ended(k);
        int64_t next = jobq_worker_next_ms(k->w);
        if (next > 0 && next <= RETRY_MOST_MS)
            kit_tick(k, next);
    }
}
