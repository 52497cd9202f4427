/* SPDX-License-Identifier: MIT */
/* The operator's verbs: cancel, redrive, hold, drop. For everything that a filter names: bulk.c. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static int send_one(struct jobq *q, const struct jobq_row *row, struct jobq_change *change)
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
    call->about = &row;
    rc = call_run(q, call, 0);
    if (rc == JOBQ_OK) {
        *change = *own;
        rc = status_of_change(own);
    }
    change->row = NULL;
    call_unref(call);
    return rc;
}

int edit_job(struct jobq *q, const struct jobq_id *id, uint32_t flags, verb_plan plan)
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
            rc = send_one(q, &query.rows[0], &change);
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

int plan_cancel(const struct jobq_row *row, uint32_t flags, struct jobq_change *change)
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

int plan_redrive(const struct jobq_row *row, uint32_t flags, struct jobq_change *change)
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

struct jobq_change operator_change(const struct jobq_row *row, uint32_t allowed)
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
    *change = operator_change(row, JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED));
    change->set = JOBQ_LIFT_HOLD;
    return JOBQ_OK;
}

int jobq_unhold(struct jobq *q, const struct jobq_id *id)
{
    return edit_job(q, id, 0, plan_unhold);
}

int plan_drop(const struct jobq_row *row, uint32_t flags, struct jobq_change *change)
{
    (void)flags;
    if (row->state == JOBQ_ROW_RUNNING)
        return wrong_state(row, "removed");
    *change = operator_change(row, ~JOBQ_ROW_BIT(JOBQ_ROW_RUNNING) & 0xffu);
    change->state = JOBQ_ROW_GONE;
    return JOBQ_OK;
}

int jobq_drop(struct jobq *q, const struct jobq_id *id)
{
    return edit_job(q, id, 0, plan_drop);
}
