/* SPDX-License-Identifier: MIT */
/* Who traces is told what a handle did, when the store has answered. */
#include "internal.h"
#include "probe.h"

int jobq_hook(struct jobq *q, jobq_hook_fn fn, void *user)
{
    int rc = handle_check(q);

    if (rc != JOBQ_OK)
        return rc;
    q->hook = fn;
    q->hook_user = user;
    return JOBQ_OK;
}

static void fire_probe(const struct jobq_hooked *h)
{
    switch (h->what) {
    case JOBQ_HOOK_ENQUEUED:
        PROBE(enqueued, h);
        break;
    case JOBQ_HOOK_CLAIMED:
        PROBE(claimed, h);
        break;
    case JOBQ_HOOK_STARTED:
        PROBE(started, h);
        break;
    case JOBQ_HOOK_RETURNED:
        PROBE(returned, h);
        break;
    case JOBQ_HOOK_COMPLETED:
        PROBE(completed, h);
        break;
    case JOBQ_HOOK_FAILED:
        PROBE(failed, h);
        break;
    case JOBQ_HOOK_DEAD:
        PROBE(dead, h);
        break;
    case JOBQ_HOOK_CANCELLED:
        PROBE(cancelled, h);
        break;
    case JOBQ_HOOK_RELEASED:
        PROBE(released, h);
        break;
    case JOBQ_HOOK_SNOOZED:
        PROBE(snoozed, h);
        break;
    case JOBQ_HOOK_PARKED:
        PROBE(parked, h);
        break;
    default:
        PROBE(ready, h);
    }
}

static void tell(const struct jobq *q, const struct jobq_hooked *h)
{
    fire_probe(h);
    if (q->hook)
        q->hook(h, q->hook_user);
}

/* ---- what happened: pure ----------------------------------------------------------------------------------------- */

int hook_of_change(const struct jobq_change *change)
{
    switch (change->state) {
    case JOBQ_ROW_COMPLETED:
        return JOBQ_HOOK_COMPLETED;
    case JOBQ_ROW_DEAD:
        return JOBQ_HOOK_DEAD;
    case JOBQ_ROW_CANCELLED:
        return JOBQ_HOOK_CANCELLED;
    case JOBQ_ROW_WAITING:
    case JOBQ_ROW_BLOCKED:
        break;
    default:
        return change->set & JOBQ_LIFT_HOLD ? JOBQ_HOOK_READY : 0;
    }
    switch (change->outcome) {
    case JOBQ_OUTCOME_FAIL:
        return JOBQ_HOOK_FAILED;
    case JOBQ_OUTCOME_RELEASE:
        return JOBQ_HOOK_RELEASED;
    case JOBQ_OUTCOME_SNOOZE:
        return JOBQ_HOOK_SNOOZED;
    case JOBQ_OUTCOME_PARK:
        return JOBQ_HOOK_PARKED;
    default: /* a callback that did not come is a failure too */
        return change->set & JOBQ_ADD_ERROR ? JOBQ_HOOK_FAILED : JOBQ_HOOK_READY;
    }
}

static void describe(const struct jobq_row *row, struct jobq_hooked *h)
{
    h->queue = row->queue;
    h->kind = row->kind;
    h->group = row->group;
    h->trace = row->trace;
    h->attempt = row->attempt < INT32_MAX ? (int32_t)row->attempt : INT32_MAX;
}

/* ---- the answer of a call ------------------------------------------------------------------------------------------ */

static void tell_change(const struct jobq *q, const struct call *call, size_t i)
{
    const struct jobq_change *change = &call->changes[i];
    struct jobq_hooked h = { .size = sizeof h, .what = hook_of_change(change), .reason = change->reason,
                             .id = change->id, .at_ms = call->now_ms };

    if (change->verdict != JOBQ_OK || h.what == 0)
        return;
    if (change->by == JOBQ_BY_TOKEN)
        h.fence = jobq_token_fence(&change->token);
    if (call->about && call->about[i])
        describe(call->about[i], &h);
    tell(q, &h);
}

static void tell_put(const struct jobq *q, const struct call *call, const struct jobq_put *put)
{
    struct jobq_hooked h = { .size = sizeof h, .what = JOBQ_HOOK_ENQUEUED, .id = put->id, .at_ms = call->now_ms,
                             .queue = put->queue, .kind = put->kind, .group = put->group, .trace = put->trace };

    if (put->verdict == JOBQ_OK && !(put->tick && put->tick->mode != JOBQ_TICK_PUT))
        tell(q, &h);
}

static void tell_claims(const struct jobq *q, const struct call *call)
{
    for (size_t i = 0; i < call->want->row_count; i++) {
        const struct jobq_row *row = &call->want->rows[i];
        struct jobq_hooked h = { .size = sizeof h, .what = JOBQ_HOOK_CLAIMED, .id = row->id, .at_ms = call->now_ms,
                                 .fence = row->fence };
        if (row_is_judged(row))
            continue;
        describe(row, &h);
        tell(q, &h);
    }
}

void hook_call(const struct jobq *q, const struct call *call)
{
    if (!JOBQ_PROBES && !q->hook)
        return;
    if (call->unit == JOBQ_OK) {
        for (size_t i = 0; i < call->change_count; i++)
            tell_change(q, call, i);
        for (size_t i = 0; i < call->put_count; i++)
            tell_put(q, call, &call->puts[i]);
    }
    if (call->want && call->want_unit == JOBQ_OK && call->want->mode != JOBQ_WANT_OVERDUE)
        tell_claims(q, call);
}

void hook_handler(const struct jobq *q, const struct jobq_row *row, int what)
{
    struct jobq_hooked h = { .size = sizeof h, .what = what, .id = row->id, .fence = row->fence };

    if (!JOBQ_PROBES && !q->hook)
        return;
    describe(row, &h);
    tell(q, &h);
}
