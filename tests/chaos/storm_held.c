/* SPDX-License-Identifier: MIT */
/* What a thread does with the jobs that it holds: it ends them in one way or another, tells of them, beats
 * for them. What the store answers to that is one of the things that are certain. */
#include "storm_turn.h"

#include <string.h>

void storm_drop(struct blower *b, int at)
{
    b->held[at] = b->held[--b->held_count];
}

static void ended(struct storm *storm, atomic_int *count)
{
    atomic_fetch_add(count, 1);
    atomic_fetch_add(&storm->ended, 1);
}

/* The answer to a change that names a token of ours: 1 it is made, 0 somebody took the job from us. */
bool storm_still_ours(struct blower *b, const struct jobq_change *c, long number)
{
    if (c->verdict == JOBQ_OK)
        return true;
    if (c->verdict == JOBQ_STALE)
        atomic_fetch_add(&b->storm->ledger[number].lost, 1);
    else
        storm_note(b->storm, "a change of job %ld, which is held, is answered by %d", number, c->verdict);
    return false;
}

struct jobq_change storm_by_token(const struct held *h, int outcome, int state)
{
    return (struct jobq_change){.id = h->id,
                                .by = JOBQ_BY_TOKEN,
                                .token = h->token,
                                .edits = JOBQ_ANY_EDITS,
                                .outcome = outcome,
                                .state = state};
}

void storm_set_counters(struct jobq_change *c, const struct held *h)
{
    c->set |= JOBQ_SET_COUNTERS;
    c->failures = h->failures + (c->outcome == JOBQ_OUTCOME_FAIL);
    c->releases = h->releases + (c->outcome == JOBQ_OUTCOME_RELEASE);
    c->snoozes = h->snoozes + (c->outcome == JOBQ_OUTCOME_SNOOZE);
}

static struct jobq_change complete_of(const struct held *h)
{
    struct jobq_change c = storm_by_token(h, JOBQ_OUTCOME_COMPLETE, JOBQ_ROW_COMPLETED);
    c.set = JOBQ_SET_RESULT;
    return c;
}

/* Not done, in one of the ways there are. */
static struct jobq_change other_outcome(struct blower *b, const struct held *h)
{
    static const int outcomes[] = {JOBQ_OUTCOME_FAIL, JOBQ_OUTCOME_RELEASE, JOBQ_OUTCOME_SNOOZE};
    struct jobq_change c = storm_by_token(h, outcomes[storm_dice(b, 3)], JOBQ_ROW_WAITING);
    storm_set_counters(&c, h);
    if (c.outcome == JOBQ_OUTCOME_SNOOZE || c.outcome == JOBQ_OUTCOME_FAIL) {
        c.set |= JOBQ_SET_RUN_AT;
        c.run_at = (struct jobq_time){JOBQ_TIME_NOW, storm_dice(b, 20)};
    }
    if (c.outcome == JOBQ_OUTCOME_FAIL) {
        c.set |= JOBQ_ADD_ERROR;
        c.error_kind = JOBQ_ERROR_HANDLER;
        c.error = (struct jobq_bytes){"trouble", 7};
        if (c.failures >= 3) {
            c.state = JOBQ_ROW_DEAD;
            c.reason = JOBQ_REASON_ATTEMPTS;
        }
    }
    if (h->cancel) {
        c.state = JOBQ_ROW_CANCELLED;
        c.reason = JOBQ_REASON_NONE;
        c.set &= ~(uint32_t)JOBQ_SET_RUN_AT;
    }
    return c;
}

static struct jobq_change outcome_of(struct blower *b, const struct held *h, bool mixed)
{
    if (!mixed || one_in(b, 2)) {
        struct jobq_change c = complete_of(h);
        if (mixed && one_in(b, 4))
            c.result = (struct jobq_bytes){"done", 4};
        return c;
    }
    return other_outcome(b, h);
}

void storm_set_trim(struct jobq_exchange *x, size_t count)
{
    x->trim = (struct jobq_trim){.limit = 2 * count + 16};
    for (int i = 0; i < 8; i++)
        x->trim.keep_count[i] = STORM_KEEP;
}

/* Some of what it holds, `from` to `from + count`. */
void storm_add_acks(struct blower *b, struct jobq_exchange *x, int from, int count, bool mixed)
{
    struct jobq_change *changes = need(jobq_arena_alloc(b->arena, (size_t)count * sizeof *changes));
    for (int i = 0; i < count; i++)
        changes[i] = outcome_of(b, &b->held[from + i], mixed);
    x->changes = changes;
    x->change_count = (size_t)count;
    storm_set_trim(x, (size_t)count);
}

void storm_count_end(struct storm *storm, const struct jobq_change *c, struct entry *e)
{
    if (c->state == JOBQ_ROW_COMPLETED)
        ended(storm, &e->completed);
    else if (c->state == JOBQ_ROW_DEAD)
        ended(storm, &e->dead);
    else if (c->state == JOBQ_ROW_CANCELLED)
        ended(storm, &e->cancelled);
    if (c->outcome == JOBQ_OUTCOME_FAIL)
        atomic_fetch_add(&storm->failed, 1);
}

void storm_read_acks(struct blower *b, const struct jobq_exchange *x, int from)
{
    for (size_t i = x->change_count; i-- > 0;) {
        int at = from + (int)i;
        struct entry *e = &b->storm->ledger[b->held[at].number];
        if (storm_still_ours(b, &x->changes[i], b->held[at].number))
            storm_count_end(b->storm, &x->changes[i], e);
    }
    memmove(&b->held[from], &b->held[from + (int)x->change_count],
            (size_t)(b->held_count - from - (int)x->change_count) * sizeof *b->held);
    b->held_count -= (int)x->change_count;
}

/* ---- heartbeats ------------------------------------------------------------------------------------- */

static int count_held(const struct blower *b, const struct jobq_token *token, bool taken)
{
    int count = 0;
    for (int i = 0; i < b->held_count; i++)
        if (memcmp(&b->held[i].token, token, sizeof *token) == 0)
            count += !taken || atomic_load(&b->storm->ledger[b->held[i].number].taken) > 0;
    return count;
}

static void mark(struct blower *b, const struct jobq_row *row)
{
    for (int i = 0; i < b->held_count; i++)
        if (memcmp(&b->held[i].id, &row->id, sizeof row->id) == 0) {
            b->held[i].cancel = true;
            return;
        }
    storm_note(b->storm, "a heartbeat marks a job that is not held");
}

/* What is taken from us is in the ledger before the store knows, so the look into it comes second. */
void storm_beat(struct blower *b)
{
    if (!b->held_count)
        return;
    struct jobq_beat beat = {.token = b->held[storm_dice(b, b->held_count)].token,
                             .lease_ms = STORM_LEASE_MS,
                             .flags = one_in(b, 12) ? JOBQ_BEAT_RELEASE : 0};
    struct jobq_exchange x = {.beats = &beat, .beat_count = 1};
    if (!storm_send(b, &x))
        return;
    int held = count_held(b, &beat.token, false), taken = count_held(b, &beat.token, true);
    if (beat.held > (size_t)held ||
        (!atomic_load(&b->storm->swept) && beat.held + (size_t)taken < (size_t)held))
        storm_note(b->storm, "a heartbeat for %d jobs, of which %d may have been taken, holds %zu", held,
                   taken, beat.held);
    for (size_t i = 0; i < beat.mark_count; i++)
        if (beat.marks[i].cancel_asked)
            mark(b, &beat.marks[i]);
    for (int i = b->held_count; i-- > 0 && beat.flags;)
        if (memcmp(&b->held[i].token, &beat.token, sizeof beat.token) == 0)
            storm_drop(b, i);
}
