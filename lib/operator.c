/* SPDX-License-Identifier: MIT */
/* The operator's verbs: cancel, redrive, hold, drop, and the same for everything that a filter names. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* Compute a change from the present row. Returns a status: JOBQ_OK to send it. */
typedef int (*plan_fn)(const struct jobq_row *row, uint32_t flags, struct jobq_change *change);

static int send_one(struct jobq *q, struct jobq_change *change)
{
    struct call *call = call_create();
    struct jobq_change *own = call ? jobq_arena_alloc(call->arena, sizeof *own) : NULL;
    int rc;

    if (!own) {
        call_unref(call);
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a change");
    }
    *own = *change;
    call->changes = own;
    call->change_count = 1;
    rc = call_run(q, call, 0);
    if (rc == JOBQ_OK) {
        *change = *own;
        rc = status_of_change(own);
    }
    change->row = NULL;
    call_unref(call);
    return rc;
}

/* Read the row, plan, send. The row may move on in between: then again. */
static int edit_job(struct jobq *q, const struct jobq_id *id, uint32_t flags, plan_fn plan)
{
    int rc = handle_check(q);

    if (rc == JOBQ_OK && !id)
        rc = fail_with(JOBQ_INVALID, "id", "id: is NULL");
    for (int round = 0; rc == JOBQ_OK && round < 8; round++) {
        struct jobq_query query = { .size = sizeof query, .ids = id, .id_count = 1, .limit = 1 };
        struct jobq_arena *arena = jobq_arena_create();
        struct jobq_change change = { .verdict = 0 };
        rc = read_rows(q, &query, arena);
        if (rc == JOBQ_OK && query.row_count == 0)
            rc = fail_with(JOBQ_NOT_FOUND, "id", "no such job");
        if (rc == JOBQ_OK)
            rc = plan(&query.rows[0], flags, &change);
        bool planned = rc == JOBQ_OK;
        if (planned)
            rc = send_one(q, &change);
        jobq_arena_destroy(arena);
        bool moved = change.verdict == JOBQ_OUTDATED ||
                     (change.verdict == JOBQ_STALE && change.stale == JOBQ_STALE_STATE);
        if (!planned || !moved)
            return rc;
        rc = JOBQ_OK;
    }
    return rc == JOBQ_OK ? fail_with(JOBQ_FAILED, NULL, "the job changed again and again meanwhile") : rc;
}

static int wrong_state(const struct jobq_row *row, const char *verb)
{
    static const char *const names[] = { "", "blocked", "waiting", "running", "completed", "dead", "cancelled", "" };

    return fail_with(JOBQ_STATE, NULL, "a %s job cannot be %s", names[row->state & 7], verb);
}

static int plan_cancel(const struct jobq_row *row, uint32_t flags, struct jobq_change *change)
{
    bool hard = flags & JOBQ_CANCEL_HARD;

    if (row->state == JOBQ_ROW_CANCELLED || (row->state == JOBQ_ROW_RUNNING && !hard && row->cancel_asked))
        return JOBQ_ALREADY;
    if (JOBQ_ROW_BIT(row->state) & JOBQ_ROW_ENDED)
        return wrong_state(row, "cancelled");
    policy_cancel(row, hard, change);
    return JOBQ_OK;
}

int jobq_cancel(struct jobq *q, const struct jobq_id *id, uint32_t flags)
{
    int rc = check_range("flags", flags, 0, JOBQ_CANCEL_HARD);

    return rc == JOBQ_OK ? edit_job(q, id, flags, plan_cancel) : rc;
}

static int plan_redrive(const struct jobq_row *row, uint32_t flags, struct jobq_change *change)
{
    (void)flags;
    if (row->state != JOBQ_ROW_DEAD && row->state != JOBQ_ROW_CANCELLED)
        return wrong_state(row, "redriven");
    policy_redrive(row, change);
    return JOBQ_OK;
}

int jobq_redrive(struct jobq *q, const struct jobq_id *id)
{
    return edit_job(q, id, 0, plan_redrive);
}

static struct jobq_change by_operator(const struct jobq_row *row, uint32_t allowed)
{
    return (struct jobq_change){ .id = row->id, .by = JOBQ_BY_OPERATOR, .allowed = allowed, .edits = row->edits };
}

static int plan_unhold(const struct jobq_row *row, uint32_t flags, struct jobq_change *change)
{
    (void)flags;
    if (row->state != JOBQ_ROW_BLOCKED)
        return wrong_state(row, "released from a hold");
    if (!row->held)
        return JOBQ_ALREADY;
    *change = by_operator(row, JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED));
    change->set = JOBQ_LIFT_HOLD;
    return JOBQ_OK;
}

int jobq_unhold(struct jobq *q, const struct jobq_id *id)
{
    return edit_job(q, id, 0, plan_unhold);
}

static int plan_drop(const struct jobq_row *row, uint32_t flags, struct jobq_change *change)
{
    (void)flags;
    if (row->state == JOBQ_ROW_RUNNING)
        return wrong_state(row, "removed");
    *change = by_operator(row, ~JOBQ_ROW_BIT(JOBQ_ROW_RUNNING) & 0xffu);
    change->state = JOBQ_ROW_GONE;
    return JOBQ_OK;
}

int jobq_drop(struct jobq *q, const struct jobq_id *id)
{
    return edit_job(q, id, 0, plan_drop);
}

/* ---- everything that a filter names ----------------------------------------------------------------------------------- */

#define BULK_STEP 250

struct bulk {
    plan_fn plan;
    uint32_t states; /* the states that the verb can work on */
    bool dry_run;
    struct jobq_bulk count;
};

/* Plan one page and send it as one exchange; what the state forbids is left. */
static int bulk_page(struct jobq *q, struct bulk *b, const struct jobq_row *rows, size_t count)
{
    struct call *call = call_create();
    struct jobq_change *changes = calloc(count, sizeof *changes);
    size_t planned = 0;
    int rc = call && changes ? JOBQ_OK : fail_with(JOBQ_NOMEM, NULL, "out of memory for a bulk change");

    for (size_t i = 0; rc == JOBQ_OK && i < count; i++)
        planned += b->plan(&rows[i], 0, &changes[planned]) == JOBQ_OK;
    if (rc == JOBQ_OK && planned) {
        call->changes = changes;
        call->change_count = planned;
        call->lends = true;
        rc = call_run(q, call, 0);
    }
    for (size_t i = 0; rc == JOBQ_OK && i < planned; i++)
        b->count.done += changes[i].verdict == JOBQ_OK;
    free(changes);
    call_unref(call);
    return rc;
}

static int bulk_run(struct jobq *q, const struct jobq_filter *given, struct bulk *b, struct jobq_bulk *out)
{
    struct jobq_query query;
    int rc = query_of_filter(q, given, &query);
    size_t found = 1;

    if (rc == JOBQ_OK && out)
        rc = check_struct("jobq_bulk", out->size, sizeof *out);
    query.limit = BULK_STEP;
    query.states = query.states ? query.states & b->states : b->states;
    while (rc == JOBQ_OK && found && query.states) {
        struct jobq_arena *arena = jobq_arena_create();
        rc = read_rows(q, &query, arena);
        found = rc == JOBQ_OK ? query.row_count : 0;
        b->count.matched += found;
        if (found) {
            if (!b->dry_run)
                rc = bulk_page(q, b, query.rows, found);
            query.after = query.rows[found - 1].id;
        }
        jobq_arena_destroy(arena);
    }
    if (out && out->size >= sizeof *out) {
        out->matched = b->count.matched;
        out->done = b->count.done;
    }
    return rc;
}

#define SHOWN(state) (1u << (state))

int jobq_purge(struct jobq *q, const struct jobq_filter *filter, int dry_run, struct jobq_bulk *out)
{
    struct bulk b = { .plan = plan_drop, .dry_run = dry_run != 0 };

    b.states = SHOWN(JOBQ_BLOCKED) | SHOWN(JOBQ_SCHEDULED) | SHOWN(JOBQ_READY) | SHOWN(JOBQ_COMPLETED) |
               SHOWN(JOBQ_DEAD) | SHOWN(JOBQ_CANCELLED);
    return bulk_run(q, filter, &b, out);
}

int jobq_redrive_all(struct jobq *q, const struct jobq_filter *filter, int dry_run, struct jobq_bulk *out)
{
    struct bulk b = { .plan = plan_redrive, .states = SHOWN(JOBQ_DEAD), .dry_run = dry_run != 0 };

    return bulk_run(q, filter, &b, out);
}
