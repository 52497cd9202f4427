/* SPDX-License-Identifier: MIT */
/* Bounds of groups, and holders that are gone. */
#include "storm_turn.h"

void storm_bound(struct blower *b, int64_t concurrency)
{
    if (!(b->storm->backend->capabilities & JOBQ_CAP_GROUPS))
        return;
    struct jobq_settings s = {.size = sizeof s,
                              .what = JOBQ_CONFIGURE_GROUP,
                              .set = JOBQ_SETTING_CONCURRENCY,
                              .group = storm_text(b, "group %d", storm_dice(b, STORM_GROUPS)),
                              .concurrency = concurrency};
    storm_configure(b, &s);
}

/* Its holder is gone. */
static struct jobq_change judgement(const struct jobq_row *r)
{
    struct held h = {.id = r->id,
                     .token = r->token,
                     .failures = r->failures - 1,
                     .releases = r->releases,
                     .snoozes = r->snoozes};
    struct jobq_change c = storm_by_token(&h, JOBQ_OUTCOME_FAIL, JOBQ_ROW_WAITING);
    storm_set_counters(&c, &h);
    c.crashes = r->crashes + 1;
    if (c.crashes >= 3) {
        c.state = JOBQ_ROW_DEAD;
        c.reason = JOBQ_REASON_POISON;
    }
    if (r->cancel_asked) {
        c.state = JOBQ_ROW_CANCELLED;
        c.reason = JOBQ_REASON_NONE;
    }
    return c;
}

/* The judgement of one that was found, and of those who waited for it; `to` has room. Gives how many. */
static size_t judge(struct blower *b, const struct jobq_row *r, struct jobq_change *to)
{
    size_t count = 0;
    for (; count < r->child_count; count++)
        to[count] = (struct jobq_change){.id = r->children[count].id,
                                         .by = JOBQ_BY_OPERATOR,
                                         .edits = JOBQ_ANY_EDITS,
                                         .allowed = JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED),
                                         .state = JOBQ_ROW_DEAD,
                                         .reason = JOBQ_REASON_DEPENDENCY};
    if (r->overdue == JOBQ_OVERDUE_LEASE || r->overdue == JOBQ_OVERDUE_TIMEOUT) {
        atomic_fetch_add(&b->storm->ledger[storm_number_of(&r->id)].taken, 1);
        to[count++] = judgement(r);
    }
    return count;
}

static void send_judgement(struct blower *b, struct jobq_change *changes, size_t count)
{
    struct jobq_exchange x = {.changes = changes, .change_count = count};
    storm_set_trim(&x, count);
    if (!storm_send(b, &x))
        return;
    for (size_t i = 0; i < count; i++) {
        long number = storm_number_of(&changes[i].id);
        if (changes[i].by == JOBQ_BY_TOKEN ? storm_still_ours(b, &changes[i], number)
                                           : changes[i].verdict == JOBQ_OK)
            storm_count_end(b->storm, &changes[i], &b->storm->ledger[number]);
    }
}

/* What has no holder any more is judged. Gives how many there were. */
size_t storm_sweep(struct blower *b)
{
    struct jobq_want w = {.mode = JOBQ_WANT_OVERDUE,
                          .limit = STORM_MOST,
                          .bytes = 1 << 20,
                          .lease_ms = STORM_LEASE_MS,
                          .worker = storm_text(b, "sweeper %d", b->name)};
    struct jobq_exchange x = {.want = &w};
    if (!storm_send(b, &x))
        return 0;
    size_t room = w.row_count, used = 0;
    for (size_t i = 0; i < w.row_count; i++)
        room += w.rows[i].child_count;
    struct jobq_change *changes = need(jobq_arena_alloc(b->arena, (room + 1) * sizeof *changes));
    for (size_t i = 0; i < w.row_count; i++) {
        if (storm_number(b->storm, &w.rows[i]) < 0)
            return 0;
        used += judge(b, &w.rows[i], changes + used);
    }
    send_judgement(b, changes, used);
    return w.row_count;
}

void storm_move_clock(struct blower *b, int64_t ms)
{
    const struct jobq_settings later = {.size = sizeof later, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = ms};
    storm_configure(b, &later);
}

/* It forgets what it holds; all leases run out, those of the others, who work on, too; what is found is
 * judged. */
void storm_die(struct blower *b)
{
    b->held_count = 0;
    atomic_store(&b->storm->swept, true);
    storm_move_clock(b, STORM_LEASE_MS + 1);
    for (int i = 0; i < 20 && storm_sweep(b); i++)
        storm_new_turn(b);
}
