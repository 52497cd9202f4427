/* SPDX-License-Identifier: MIT */
/* Looks at the store, each held against what is certain. */
#include "storm_turn.h"

#include <string.h>

#define LOOK 20

void storm_list(struct blower *b)
{
    struct jobq_query query = {.size = sizeof query,
                               .limit = (size_t)between(b, 1, 100),
                               .flags = JOBQ_READ_PAYLOAD,
                               .states = one_in(b, 3) ? 0 : (uint32_t)between(b, 1, 127) << 1};
    long next = atomic_load(&b->storm->next);
    if (one_in(b, 2))
        query.queue = storm_queue(storm_dice(b, STORM_QUEUES));
    if (next && one_in(b, 2))
        query.after = storm_id(storm_dice(b, (int)next));
    if (!storm_read(b, &query))
        return;
    const struct jobq_id *before = &query.after;
    for (size_t i = 0; i < query.row_count; i++) {
        const struct jobq_row *r = &query.rows[i];
        int shown = jobq_shown_state(r->state, r->run_at_ms, query.now_ms);
        if (storm_number(b->storm, r) < 0)
            return;
        if (memcmp(&r->id, before, sizeof r->id) <= 0 || (query.states && !(query.states >> shown & 1)) ||
            (query.queue.data && r->queue.size != query.queue.size))
            storm_note(b->storm, "a list of states %#x gives job %ld in state %d, or out of order",
                       query.states, storm_number(b->storm, r), shown);
        before = &r->id;
    }
}

/* What it holds is there and runs under its token, unless it may have been taken. */
static void check_held(struct blower *b, const struct held *h, const struct jobq_row *row)
{
    bool so = row && row->state == JOBQ_ROW_RUNNING && memcmp(&row->token, &h->token, sizeof h->token) == 0;
    if (!so && !atomic_load(&b->storm->swept) && !atomic_load(&b->storm->ledger[h->number].taken))
        storm_note(b->storm, "job %ld, which is held, is read %s, state %d", h->number,
                   row ? "under another token" : "not at all", row ? row->state : 0);
}

/* The first of the ids are those of `own`, which it holds. */
static void check_asked(struct blower *b, const struct jobq_query *query, const struct held *own,
                        size_t own_count)
{
    size_t at = 0;
    for (size_t i = 0; i < query->id_count; i++) {
        const struct jobq_row *row = at < query->row_count ? &query->rows[at] : NULL;
        if (row && memcmp(&row->id, &query->ids[i], sizeof row->id) != 0)
            row = NULL;
        if (row && storm_number(b->storm, row) < 0)
            return;
        if (i < own_count)
            check_held(b, &own[i], row);
        at += row != NULL;
    }
    if (at < query->row_count)
        storm_note(b->storm, "a row that was not asked for, or not in the order asked");
}

void storm_get(struct blower *b)
{
    struct jobq_id ids[2 * LOOK];
    struct jobq_query query = {
        .size = sizeof query, .ids = ids, .flags = JOBQ_READ_PAYLOAD | JOBQ_READ_ERRORS, .limit = 100};
    long next = atomic_load(&b->storm->next);
    int own = b->held_count < LOOK ? b->held_count : LOOK, others = next ? between(b, 0, LOOK) : 0;
    int first = own ? storm_dice(b, b->held_count - own + 1) : 0;
    for (int i = 0; i < own; i++)
        ids[query.id_count++] = b->held[first + i].id;
    for (int i = 0; i < others; i++)
        ids[query.id_count++] = storm_id(storm_dice(b, (int)(next < b->storm->jobs ? next : b->storm->jobs)));
    if (query.id_count && storm_read(b, &query))
        check_asked(b, &query, b->held + first, (size_t)own);
}

void storm_count(struct blower *b)
{
    struct jobq_stats stats = {.size = sizeof stats};
    if (storm_stats(b, &stats))
        storm_check_stats(b->storm, &stats);
}
