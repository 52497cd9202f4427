/* SPDX-License-Identifier: MIT */
/* One job, by itself: whatever there is to be done to it. */
#include "storm_turn.h"

#include <string.h>

static bool change_one(struct blower *b, struct jobq_change *c)
{
    struct jobq_exchange x = {.changes = c, .change_count = 1};
    if (JOBQ_ROW_BIT(c->state) & JOBQ_ROW_ENDED)
        storm_set_trim(&x, 1);
    return storm_send(b, &x);
}

/* Any that is there, by preference in these states. NULL: there is none. */
static const struct jobq_row *any_row(struct blower *b, uint32_t states)
{
    struct jobq_query query = {.size = sizeof query, .states = states, .limit = 4};
    long next = atomic_load(&b->storm->next);
    query.after = storm_id(next ? storm_dice(b, (int)next) : 0);
    if (!storm_read(b, &query))
        return NULL;
    if (!query.row_count) {
        memset(&query.after, 0, sizeof query.after);
        if (!storm_read(b, &query) || !query.row_count)
            return NULL;
    }
    return &query.rows[storm_dice(b, (int)query.row_count)];
}

void storm_edit(struct blower *b)
{
    const struct jobq_row *row = any_row(b, 1u << JOBQ_READY | 1u << JOBQ_SCHEDULED | 1u << JOBQ_BLOCKED);
    long number = row ? storm_number(b->storm, row) : -1;
    if (number < 0)
        return;
    struct jobq_change c = {.id = row->id,
                            .by = JOBQ_BY_OPERATOR,
                            .edits = one_in(b, 2) ? row->edits : JOBQ_ANY_EDITS,
                            .allowed = JOBQ_ROW_BIT(JOBQ_ROW_WAITING) | JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED)};
    if (one_in(b, 2)) {
        c.set = JOBQ_SET_PAYLOAD;
        c.payload = storm_text(b, "job %08ld, edited", number);
    } else {
        c.set = JOBQ_SET_RUN_AT;
        c.run_at = (struct jobq_time){JOBQ_TIME_NOW, storm_dice(b, 30)};
    }
    if (change_one(b, &c) && c.verdict != JOBQ_OK && c.verdict != JOBQ_STALE && c.verdict != JOBQ_OUTDATED)
        storm_note(b->storm, "an edit of job %ld is answered by %d", number, c.verdict);
}

/* One that it holds: what its handler says on its way. */
void storm_tell(struct blower *b)
{
    if (!b->held_count)
        return;
    int at = storm_dice(b, b->held_count);
    struct jobq_change c = storm_by_token(&b->held[at], JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    if (one_in(b, 2)) {
        c.set = JOBQ_SET_LEASE;
        c.lease_ms = STORM_LEASE_MS;
    } else {
        c.set = JOBQ_SET_PROGRESS;
        c.progress = (struct jobq_bytes){"half", 4};
    }
    if (change_one(b, &c) && !storm_still_ours(b, &c, b->held[at].number))
        storm_drop(b, at);
}

static struct jobq_change cancel_of(const struct jobq_row *row)
{
    return (struct jobq_change){.id = row->id,
                                .by = JOBQ_BY_OPERATOR,
                                .edits = JOBQ_ANY_EDITS,
                                .state = JOBQ_ROW_CANCELLED,
                                .allowed = JOBQ_ROW_BIT(JOBQ_ROW_WAITING) | JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED)};
}

static struct jobq_change stop_of(const struct jobq_row *row, bool hard)
{
    struct jobq_change c = cancel_of(row);
    c.allowed = JOBQ_ROW_BIT(JOBQ_ROW_RUNNING);
    if (hard) {
        c.outcome = JOBQ_OUTCOME_VOID;
    } else {
        c.state = JOBQ_ROW_KEEP;
        c.set = JOBQ_SET_CANCEL_ASKED;
    }
    return c;
}

void storm_cancel(struct blower *b)
{
    const struct jobq_row *row =
        any_row(b, one_in(b, 2) ? 1u << JOBQ_RUNNING : 1u << JOBQ_READY | 1u << JOBQ_BLOCKED);
    long number = row ? storm_number(b->storm, row) : -1;
    if (number < 0)
        return;
    struct entry *e = &b->storm->ledger[number];
    struct jobq_change c = row->state == JOBQ_ROW_RUNNING ? stop_of(row, one_in(b, 2)) : cancel_of(row);
    atomic_fetch_add(&e->taken,
                     c.outcome == JOBQ_OUTCOME_VOID); /* before: its holder may hear of it before we do */
    if (!change_one(b, &c))
        return;
    if (c.verdict == JOBQ_OK)
        storm_count_end(b->storm, &c, e);
    else if (c.verdict != JOBQ_STALE)
        storm_note(b->storm, "a cancel of job %ld is answered by %d", number, c.verdict);
}

static struct jobq_change redrive_of(const struct jobq_row *row, const struct entry *e)
{
    struct jobq_change c = {.id = row->id,
                            .by = JOBQ_BY_OPERATOR,
                            .edits = JOBQ_ANY_EDITS,
                            .state = JOBQ_ROW_WAITING,
                            .allowed = JOBQ_ROW_BIT(JOBQ_ROW_DEAD) | JOBQ_ROW_BIT(JOBQ_ROW_CANCELLED),
                            .run_at = {JOBQ_TIME_NOW, 0},
                            .redrives = row->redrives + 1,
                            .set = JOBQ_SET_COUNTERS | JOBQ_CLEAR_CANCEL | JOBQ_SET_RUN_AT};
    c.set |= (e->key >= 0 ? JOBQ_TAKE_KEY : 0u) | (e->child ? JOBQ_BLOCK_AGAIN : 0u);
    return c;
}

/* A dead or cancelled one lives again; one that has ended is removed. */
void storm_revive_or_remove(struct blower *b)
{
    bool revive = one_in(b, 2);
    const struct jobq_row *row =
        any_row(b, 1u << JOBQ_DEAD | 1u << JOBQ_CANCELLED | (revive ? 0 : 1u << JOBQ_COMPLETED));
    long number = row ? storm_number(b->storm, row) : -1;
    if (number < 0)
        return;
    struct entry *e = &b->storm->ledger[number];
    struct jobq_change c = {.id = row->id,
                            .by = JOBQ_BY_OPERATOR,
                            .edits = JOBQ_ANY_EDITS,
                            .state = JOBQ_ROW_GONE,
                            .allowed = JOBQ_ROW_ENDED};
    if (revive)
        c = redrive_of(row, e);
    if (!change_one(b, &c))
        return;
    if (c.verdict == JOBQ_OK) {
        atomic_fetch_add(revive ? &e->redriven : &e->removed, 1);
        atomic_fetch_sub(&b->storm->ended, revive);
    } else if (c.verdict != JOBQ_STALE && (c.verdict != JOBQ_DUPLICATE || e->key < 0)) {
        storm_note(b->storm, "a %s of job %ld is answered by %d", revive ? "redrive" : "removal", number,
                   c.verdict);
    }
}
