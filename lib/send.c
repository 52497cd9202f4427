/* SPDX-License-Identifier: MIT */
/* An exchange is sent until its outcome is known; one that the store refuses for what is in it is sent in smaller ones, so that
 * only who is guilty gets the error. */
#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- sending ------------------------------------------------------------------------------------------------------------ */

static void pause_ms(int64_t ms)
{
    struct timespec left = { ms / 1000, ms % 1000 * 1000000 };

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static void send_once(struct lane *lane, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *error)
{
    error->status = 0;
    error->field[0] = error->text[0] = 0;
    x->failure = 0;
    x->guilty_change = x->guilty_put = -1;
    x->unit = x->want_unit = JOBQ_FAILED;
    lane->q->backend->exchange(lane->store, x, arena, error);
}

/* That a repeat failed for certain says nothing of the try before it. */
static void doubt(struct jobq_exchange *x, struct jobq_error *error)
{
    if (x->unit == JOBQ_FAILED)
        x->unit = error->status = JOBQ_UNKNOWN;
    else if (x->unit == JOBQ_OK && x->want)
        x->want_unit = JOBQ_UNKNOWN;
}

/* Send until the outcome is known or the time is over. A repeat carries the same number, so it does nothing twice. */
static void send_known(struct lane *lane, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *error)
{
    const struct jobq *q = lane->q;
    int64_t give_up = monotonic_ms() + q->repeat_ms, wait = 1;
    bool in_doubt = false;

    for (;;) {
        send_once(lane, x, arena, error);
        in_doubt |= x->unit == JOBQ_UNKNOWN || (x->unit == JOBQ_OK && x->want_unit == JOBQ_UNKNOWN);
        if (!in_doubt || (x->unit == JOBQ_OK && (!x->want || x->want_unit == JOBQ_OK)))
            return;
        bool hopeless = x->unit == JOBQ_FAILED && x->failure != JOBQ_FAILURE_TRANSIENT;
        if (q->attached || hopeless || monotonic_ms() + wait > give_up)
            break;
        pause_ms(wait);
        if (JOBQ_MUTANT(15))
            x->number = ++lane->number;
        wait = wait < 500 ? wait * 2 : 500;
    }
    doubt(x, error);
}

/* First act after a claim was given up: what it may hold under its random bytes goes back at no cost. */
static void release_lost(struct lane *lane, struct jobq_arena *arena)
{
    struct jobq_beat beat = { .flags = JOBQ_BEAT_RELEASE | JOBQ_BEAT_MINT };
    struct jobq_exchange x = { .size = sizeof x, .beats = &beat, .beat_count = 1 };
    struct jobq_error error;

    memcpy(beat.token.bytes, lane->lost_mint, sizeof lane->lost_mint);
    memcpy(x.client, lane->client, sizeof x.client);
    x.number = ++lane->number;
    send_known(lane, &x, arena, &error);
    if (x.unit == JOBQ_OK)
        lane->lost_claim = false;
}

static size_t count_ended(const struct jobq_exchange *x)
{
    size_t ended = 0;

    for (size_t i = 0; i < x->change_count; i++)
        ended += change_ends(&x->changes[i]);
    return ended;
}

/* When the next schedule is due, as the newest exchange says. */
static void note_tick(struct jobq *q, struct jobq_exchange *x)
{
    int64_t at = INT64_MAX;

    if (!handle_has(q, JOBQ_CAP_SCHEDULES))
        x->next_tick_ms = INT64_MAX;
    if (x->unit != JOBQ_OK)
        return;
    if (x->next_tick_ms != INT64_MAX)
        at = jobq_add_ms(monotonic_ms(), x->next_tick_ms > x->now_ms ? x->next_tick_ms - x->now_ms : 0);
    __atomic_store_n(&q->tick_at_ms, at, __ATOMIC_RELAXED);
}

/* Whoever claims through this lane goes on where the last one stopped. */
static void keep_cursor(struct lane *lane, struct jobq_bytes cursor)
{
    uint8_t *copy = cursor.size ? realloc(lane->cursor, cursor.size) : NULL;

    if (!copy)
        return; /* none came, or no memory for it: the old one serves */
    memcpy(copy, cursor.data, cursor.size);
    lane->cursor = copy;
    lane->cursor_bytes = cursor.size;
}

static int batch_send(struct lane *lane, struct batch *b)
{
    struct jobq *q = lane->q;
    struct jobq_exchange *x = &b->x;

    x->size = sizeof *x;
    memcpy(x->client, lane->client, sizeof x->client);
    if (lane->lost_claim)
        release_lost(lane, b->arena);
    if (b->want_owner) {
        x->want = &b->want;
        b->want.cursor = (struct jobq_bytes){ lane->cursor, lane->cursor_bytes };
        if (random_bytes(b->want.mint, sizeof b->want.mint) != 0)
            return jobq_error_set(&b->error, x->unit = JOBQ_FAILED, NULL, "no random bytes from the system");
    }
    policy_trim(&q->keep, count_ended(x), &x->trim);
    x->number = q->attached ? 0 : ++lane->number; /* that transaction decides: there is nothing to repeat */
    send_known(lane, x, b->arena, &b->error);
    note_tick(q, x);
    if (b->want_owner && x->want_unit == JOBQ_OK)
        keep_cursor(lane, b->want.next_cursor);
    if (b->want_owner && (x->unit == JOBQ_UNKNOWN || x->want_unit == JOBQ_UNKNOWN)) {
        lane->lost_claim = true;
        memcpy(lane->lost_mint, b->want.mint, sizeof lane->lost_mint);
    }
    return x->unit;
}

/* ---- after a refusal: smaller exchanges ----------------------------------------------------------------------------------- */

/* A part of a call as a call of its own, on the stack of the leader. Returns what became of it. */
static int run_part(struct lane *lane, struct call *whole, struct call *part, struct jobq_arena *arena)
{
    struct batch b;

    batch_of_one(&b, part, arena);
    if (batch_gather(&b) == 0)
        batch_send(lane, &b);
    if (b.x.now_ms)
        whole->now_ms = b.x.now_ms;
    whole->next_due_ms = b.x.next_due_ms;
    whole->next_tick_ms = b.x.next_tick_ms;
    if (b.x.unit != JOBQ_OK && whole->unit != JOBQ_UNKNOWN) {
        whole->error = b.error;
        if (b.x.unit == JOBQ_UNKNOWN)
            whole->unit = JOBQ_UNKNOWN;
    }
    if (b.x.unit != JOBQ_OK)
        for (size_t i = 0; i < part->change_count; i++) {
            part->changes[i].verdict = b.x.unit;
            part->changes[i].stale = b.x.failure;
        }
    if (b.x.unit != JOBQ_OK)
        for (size_t i = 0; i < part->put_count; i++)
            part->puts[i].verdict = b.x.unit;
    return b.x.unit;
}

/* Change i and the puts that hang on it. Puts of one change stand together (the core writes them so). */
static int run_change(struct lane *lane, struct call *whole, size_t i, struct jobq_arena *arena)
{
    struct call part = { .changes = &whole->changes[i], .change_count = 1 };
    size_t first = 0;

    while (first < whole->put_count && whole->puts[first].only_if != (int32_t)i)
        first++;
    while (first + part.put_count < whole->put_count && whole->puts[first + part.put_count].only_if == (int32_t)i)
        whole->puts[first + part.put_count++].only_if = 0;
    part.puts = part.put_count ? &whole->puts[first] : NULL;
    int unit = run_part(lane, whole, &part, arena);
    for (size_t k = 0; k < part.put_count; k++)
        part.puts[k].only_if = (int32_t)i;
    return unit;
}

/* Heartbeats alone, then each change with its puts, then each other put. The want waits for the next turn; where nothing
 * else failed it is what failed. */
static void run_separately(struct lane *lane, struct call *call, struct jobq_arena *arena)
{
    bool failed = false;

    call->unit = JOBQ_OK;
    if (call->beat_count || call->worker) {
        struct call part = { .beats = call->beats, .beat_count = call->beat_count, .worker = call->worker };
        failed = call->beats_failed = run_part(lane, call, &part, arena) != JOBQ_OK;
    }
    for (size_t i = 0; i < call->change_count; i++)
        failed |= run_change(lane, call, i, arena) != JOBQ_OK;
    for (size_t i = 0; i < call->put_count; i++)
        if (call->puts[i].only_if < 0) {
            struct call part = { .puts = &call->puts[i], .put_count = 1 };
            failed |= run_part(lane, call, &part, arena) != JOBQ_OK;
        }
    call->want_unit = failed ? JOBQ_SKIPPED : JOBQ_FAILED;
}

/* A want alone, or heartbeats alone, are as small as they get: their failure is the call's. */
static bool is_separable(const struct call *call)
{
    return call->separable &&
           (call->change_count || call->put_count || (call->want && (call->beat_count || call->worker)));
}

static bool worth_splitting(const struct jobq *q, const struct batch *b)
{
    return !q->attached && b->x.unit == JOBQ_FAILED &&
           (b->x.failure == JOBQ_FAILURE_FULL || b->x.failure == JOBQ_FAILURE_REFUSED);
}

/* Each call of a refused batch on its own, so that only the guilty one gets the error. */
static void batch_split(struct lane *lane, struct batch *b)
{
    for (struct call *call = b->first, *next; call; call = next) {
        struct batch one;
        next = call->next;
        call->next = NULL;
        batch_of_one(&one, call, b->arena);
        batch_run(lane, &one);
        call->next = next;
    }
}

void batch_run(struct lane *lane, struct batch *b)
{
    if (batch_gather(b) != 0)
        b->x.unit = jobq_error_set(&b->error, JOBQ_FAILED, NULL, "out of memory for an exchange");
    else
        batch_send(lane, b);
    if (worth_splitting(lane->q, b) && b->calls > 1)
        batch_split(lane, b);
    else if (worth_splitting(lane->q, b) && is_separable(b->first))
        run_separately(lane, b->first, b->arena);
    else
        batch_answer(b);
}
